// Promise: whichever two kernel calls are refused in one adoption or merge, near the mapping budget too, where windows
// of pages become one mapping, it is whole or has changed nothing; each page can be stored to afterwards, and all keep
// what they show.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/mapping_budget.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 40;

/// Pages of all kinds, as the seed has it: those that have to move, since a view shows them, and some that have; some
/// that the clone has left, so that their frames are written; many never written, so that each that moves is a mapping.
struct TwoSides {
  TwoSides(Arena arena, std::uint64_t seed) : ours(std::move(arena)), random_(seed) {
    paint_some(3, 1);
    oldest = ours.arena().snapshot();
    oldest_picture = ours.picture();
    view = oldest.view();
    paint_some(7, 2);
    base = ours.arena().snapshot();
    base_picture = ours.picture();
    clone.emplace(base.clone(), base_picture);
    for (std::size_t page = 0; page < pages; ++page) {
      if (random_() % 3 == 0) clone->paint(page, 4);
    }
    theirs = clone->arena().snapshot();
    paint_some(9, 5);
  }

  void paint_some(std::uint64_t one_in, std::uint64_t value) {
    for (std::size_t page = 0; page < pages; ++page) {
      if (random_() % one_in == 0) paint_alone(page, value);
    }
  }

  /// A fault would open a block.
  void paint_alone(std::size_t page, std::uint64_t value) {
    ours.arena().prepare_write(page_at(ours.arena(), page), 1);
    ours.paint(page, value);
  }

  void expect_intact() {
    EXPECT_TRUE(ours.is_right());
    EXPECT_TRUE(clone->is_right());
    EXPECT_TRUE(shows(oldest, oldest_picture));
    EXPECT_TRUE(shows(view, oldest_picture));
    EXPECT_TRUE(shows(base, base_picture));
    EXPECT_TRUE(shows(theirs, clone->picture()));
  }

  /// A store to each page, another snapshot, and back.
  void expect_to_go_on() {
    const Picture before = ours.picture();
    const Snapshot now = ours.arena().snapshot();
    for (std::size_t page = 0; page < pages; ++page) ours.paint(page, 100 + page);
    const Picture then = ours.picture();
    const Snapshot later = ours.arena().snapshot();
    for (std::size_t page = pages; page-- != 0;) ours.paint(page, 200 + page);
    expect_intact();
    EXPECT_TRUE(shows(now, before));
    EXPECT_TRUE(shows(later, then));
    ours.arena().rollback(base);
    ours.set_picture(base_picture);
    expect_intact();
  }

  Painted ours;
  Snapshot oldest, base, theirs;
  Picture oldest_picture, base_picture;
  View view;
  std::optional<Painted> clone;

 private:
  std::mt19937_64 random_;
};

class TwoRefusals : public BarrierTest {
 protected:
  using Operation = std::function<void(TwoSides&)>;

  /// False where the operation makes fewer calls.
  bool refuse(const Operation& operation, std::uint64_t seed, std::uint64_t mappings_left, std::int64_t nth,
              std::int64_t again) {
    SCOPED_TRACE("COW_SEED=" + std::to_string(seed) + ": call " + std::to_string(nth) + " is refused, and the one " + std::to_string(again) + " later, with " +
                 std::to_string(mappings_left) + " mappings left");
    TwoSides sides(make_arena(pages), seed);
    const BudgetLeft budget(mappings_left);
    const std::int64_t before = os::calls_made();
    os::fail_after(nth, again);
    try {
      operation(sides);
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
    }
    os::fail_after(0);
    const bool enough = os::calls_made() - before >= nth + again;
    sides.expect_intact();
    sides.expect_to_go_on();
    return enough && !HasFailure();
  }

  /// Each call, and with it each of the next few, which undo what has failed.
  void refuse_pairs(const Operation& operation) {
    constexpr std::int64_t next_few = 5;
    const std::uint64_t seed = seed_or(1);
    for (const std::uint64_t mappings_left : {10U, 1'000U}) {
      std::int64_t nth = 1;
      for (; refuse(operation, seed, mappings_left, nth, 0); ++nth) {
        for (std::int64_t again = 1; again < next_few && refuse(operation, seed, mappings_left, nth, again);) ++again;
      }
      EXPECT_GT(nth, 3);
    }
  }
};
COW_FOR_EVERY_BARRIER(TwoRefusals);

TEST_P(TwoRefusals, leave_an_adoption_whole_or_undone) {
  refuse_pairs([](TwoSides& sides) {
    sides.ours.arena().adopt(sides.theirs);
    sides.ours.set_picture(sides.clone->picture());
  });
}

TEST_P(TwoRefusals, leave_a_merge_whole_or_undone) {
  refuse_pairs([](TwoSides& sides) {
    MergeOptions options;
    options.on_conflict = OnConflict::take_theirs;
    cow::merge(sides.ours.arena(), sides.base, sides.theirs, options);
    Picture merged = sides.ours.picture();
    for (std::size_t page = 0; page < pages; ++page) {
      if (sides.clone->picture()[page] != sides.base_picture[page]) merged[page] = sides.clone->picture()[page];
    }
    sides.ours.set_picture(merged);
  });
}

}  // namespace
}  // namespace cow::test

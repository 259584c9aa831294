// Promises: a fault opens pages beside the one that was stored to; the first rollback protects those again that nobody
// has stored to, the next ones to that snapshot take no fault and do not copy them, and whatever way such a page is
// written later, it is rolled back as all are.
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;
constexpr std::size_t first = 8, written = 4, beside = 13;  // faults at 8, 9, 11: pages 12 to 14 come along

class RolledBackAgain : public BarrierTest {
 protected:
  RolledBackAgain() {
    if (!is_available(GetParam())) return;
    arena_.emplace(quiet_arena(GetParam(), pages));
    begin();
  }

  Arena& arena() { return *arena_; }
  const Snapshot& snapshot() const { return snapshot_; }

  /// Stores to a run of pages, and goes back.
  void go_round(std::uint64_t value) {
    fill_run(arena(), first, written, value);
    arena().rollback(snapshot_);
    ASSERT_TRUE(shows(arena(), Picture(pages, 1)));
  }
  /// Both after the page was changed, and once more after a store to it.
  void expect_all_back_after(const std::function<void()>& change) {
    go_round(2);
    change();
    ASSERT_NO_FATAL_FAILURE(go_round(3));
    put_mark(arena(), beside, 7);
    ASSERT_NO_FATAL_FAILURE(go_round(4));
    EXPECT_TRUE(shows(snapshot_, Picture(pages, 1)));
  }
  bool is_open(std::size_t page, std::size_t count) {
    return is_writable(arena().ref(), std::span(page_at(arena(), page), count * page_size()));
  }
  /// It shows none of the original's pages where those are written, so that they need not move.
  Arena changed_clone() {
    Arena clone = snapshot_.clone();
    fill_run(clone, first - 1, 12, 1);
    put_mark(clone, beside, 5);
    return clone;
  }
  std::uint64_t pages_left_alone() const COW_HELD_UNCHECKED {
    return Access::books(*arena_)->came_along.unchanged.count();
  }

 private:
  void begin() {
    fill_run(arena(), 0, pages, 1);
    snapshot_ = arena().snapshot();
    put_mark(arena(), 0, 1);
    snapshot_ = arena().snapshot();
  }

  std::optional<Arena> arena_;
  Snapshot snapshot_;
};
COW_FOR_EVERY_BARRIER(RolledBackAgain);

TEST_P(RolledBackAgain, what_came_along_and_was_not_written_is_protected_again) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  fill_run(arena(), first, written, 2);
  ASSERT_TRUE(is_open(beside, 1));
  arena().rollback(snapshot());
  EXPECT_FALSE(is_open(beside, 1));
  EXPECT_TRUE(is_open(first, written));
  EXPECT_EQ(pages_left_alone(), 3U);
}

TEST_P(RolledBackAgain, the_same_pages_take_no_fault_the_second_time) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  go_round(2);
  const std::uint64_t faults = arena().stats().faults();
  for (std::uint64_t value = 3; value < 20; ++value) go_round(value);
  EXPECT_EQ(arena().stats().faults(), faults);
}

TEST_P(RolledBackAgain, a_page_is_closed_once_however_often_its_content_comes_back) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  go_round(2);
  put_mark(arena(), beside, 1);  // what it holds already
  const std::uint64_t faults = arena().stats().faults();
  for (std::uint64_t value = 3; value < 20; ++value) {
    go_round(value);
    put_mark(arena(), beside, 1);
  }
  EXPECT_EQ(arena().stats().faults(), faults);
}

TEST_P(RolledBackAgain, what_was_stored_to_once_stays_open) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  fill_run(arena(), first, written, 2);
  put_mark(arena(), beside, 5);
  arena().rollback(snapshot());
  go_round(3);
  EXPECT_TRUE(is_open(beside, 1));
  EXPECT_FALSE(is_open(beside + 1, 1));
}

TEST_P(RolledBackAgain, a_store_is_undone) {
  expect_all_back_after([&] { put_mark(arena(), beside, 5); });
}

TEST_P(RolledBackAgain, a_write_that_was_handed_over_is_undone) {
  expect_all_back_after([&] { arena().write(page_at(arena(), beside), "changed", 7); });
}

TEST_P(RolledBackAgain, a_discard_is_undone) {
  expect_all_back_after([&] { arena().discard(page_at(arena(), beside - 1), 3 * page_size()); });
}

TEST_P(RolledBackAgain, what_was_made_ready_and_written_is_undone) {
  expect_all_back_after([&] {
    arena().prepare_write(page_at(arena(), beside), page_size());
    put_mark(arena(), beside, 5);
  });
}

TEST_P(RolledBackAgain, what_was_adopted_is_undone) {
  Arena clone = changed_clone();
  const Snapshot changed = clone.snapshot();
  expect_all_back_after([&] { arena().adopt(changed); });
}

TEST_P(RolledBackAgain, what_was_merged_is_undone) {
  Arena clone = changed_clone();
  const Snapshot changed = clone.snapshot();
  expect_all_back_after([&] { (void)merge(arena(), snapshot(), changed); });
}

TEST_P(RolledBackAgain, another_snapshot_between_changes_nothing) {
  std::optional<Snapshot> between;
  expect_all_back_after([&] {
    put_mark(arena(), beside, 5);
    between = arena().snapshot();
  });
  EXPECT_EQ(mark_of(*between, beside), 5U);
  arena().rollback(*between);
  EXPECT_EQ(mark_of(arena(), beside), 5U);
}

/// The newest snapshot goes: what was as that showed it is not as the one before does.
TEST_P(RolledBackAgain, an_older_snapshot_has_content_of_its_own) {
  put_mark(arena(), beside, 6);
  {
    const Snapshot newer = arena().snapshot();
    fill_run(arena(), first, written, 2);
    arena().rollback(newer);
    EXPECT_EQ(mark_of(arena(), beside), 6U);
  }
  arena().rollback(snapshot());
  EXPECT_TRUE(shows(arena(), Picture(pages, 1)));
}

/// Under the kernel barrier no store to such a page is caught.
TEST_P(RolledBackAgain, a_change_of_barriers_between_forgets_them) {
  if (GetParam() != Barrier::kernel) GTEST_SKIP() << "only that changes to another and back";
  { const RefuseWrites refuse(arena()); }
  ASSERT_NE(arena().barrier(), Barrier::kernel);
  go_round(2);
  ASSERT_EQ(pages_left_alone(), 3U);
  put_mark(arena(), 0, 1);
  const Snapshot later = arena().snapshot();
  ASSERT_EQ(arena().barrier(), Barrier::kernel);
  put_mark(arena(), beside, 5);
  arena().rollback(snapshot());
  EXPECT_TRUE(shows(arena(), Picture(pages, 1)));
}

/// What somebody counts on stays open.
TEST_P(RolledBackAgain, what_was_made_ready_stays_open) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  fill_run(arena(), first, written, 2);
  arena().prepare_write(page_at(arena(), beside), page_size());
  arena().rollback(snapshot());
  EXPECT_TRUE(is_open(beside, 1));
  put_mark(arena(), beside, 5);
  arena().rollback(snapshot());
  EXPECT_TRUE(shows(arena(), Picture(pages, 1)));
}

TEST_P(RolledBackAgain, goes_on_whichever_kernel_call_is_refused) {
  for (std::int64_t nth = 1; nth < 500; ++nth) {
    fill_run(arena(), first, written, 2);
    const std::int64_t before = os::calls_made();
    os::fail_after(nth);
    bool done = true;
    try {
      arena().rollback(snapshot());
    } catch (const std::exception&) {
      done = false;
    }
    os::fail_after(0);
    const bool enough = os::calls_made() - before < nth;
    if (done) {
      ASSERT_TRUE(shows(arena(), Picture(pages, 1))) << nth;
    }
    put_mark(arena(), beside, static_cast<std::uint64_t>(nth) + 10);
    ASSERT_NO_FATAL_FAILURE(go_round(3)) << nth;
    (void)arena().snapshot();  // all is protected anew
    if (enough) return;
  }
  ADD_FAILURE() << "the rollback never ends";
}

/// Against a picture, by runs of neighbours, in each way in which pages are written.
class Steps {
 public:
  Steps(Arena arena, std::uint64_t seed) : painted_(std::move(arena)), random_(seed) {
    painted_.paint_run(0, pages, 1);
    take();
  }

  void step() {
    const std::size_t at = below(pages), count = 1 + below(std::min<std::size_t>(12, pages - at));
    switch (below(10)) {
      case 0: return take();
      case 1: return drop();
      case 2: return write_by_call(at, count);
      case 3: return discard(at, count);
      case 4: return painted_.arena().prepare_write(page_at(painted_.arena(), at), count * page_size());
      case 5:
      case 6:
      case 7: return painted_.paint_run(at, count, random_());
      default: return roll_back();
    }
  }

  testing::AssertionResult is_right() { return painted_.is_right(); }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  void take() { taken_.emplace_back(painted_.arena().snapshot(), painted_.picture()); }
  void drop() {
    if (taken_.size() > 1) taken_.erase(taken_.begin() + static_cast<std::ptrdiff_t>(below(taken_.size())));
  }
  void write_by_call(std::size_t at, std::size_t count) {
    const std::uint64_t value = random_();
    const std::vector<std::uint64_t> content(count * words_in_page(), value);
    painted_.arena().write(page_at(painted_.arena(), at), content.data(), count * page_size());
    set(at, count, value);
  }
  void discard(std::size_t at, std::size_t count) {
    painted_.arena().discard(page_at(painted_.arena(), at), count * page_size());
    set(at, count, 0);
  }
  void roll_back() {
    const auto& [snapshot, picture] = taken_[below(3) == 0 ? below(taken_.size()) : taken_.size() - 1];
    painted_.arena().rollback(snapshot);
    painted_.set_picture(picture);
  }
  void set(std::size_t at, std::size_t count, std::uint64_t value) {
    Picture picture = painted_.picture();
    for (std::size_t page = at; page < at + count; ++page) picture[page] = value;
    painted_.set_picture(picture);
  }

  Painted painted_;
  std::mt19937_64 random_;
  std::vector<std::pair<Snapshot, Picture>> taken_;
};

TEST_P(RolledBackAgain, is_right_in_random_sequences) {
  const std::uint64_t seed = seed_or(4711);
  for (std::uint64_t run = 0; run < 20; ++run) {
    SCOPED_TRACE(testing::Message() << "COW_SEED=" << seed + run);
    Steps steps(make_arena(pages), seed + run);
    for (int step = 0; step < 150; ++step) {
      steps.step();
      ASSERT_TRUE(steps.is_right()) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace cow::test

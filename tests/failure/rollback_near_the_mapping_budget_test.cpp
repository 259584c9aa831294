// Promise: rollback() stores only to what it has made ready, however few mappings are left: it takes no fault of its own,
// which could find no memory, no mapping and nobody to tell. Whichever call is refused, it is whole or throws.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

#include <gtest/gtest.h>

#include "books/arena_books.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/mapping_budget.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 300;

std::uint64_t faults(const Arena& arena) {
  const ArenaStats stats = arena.stats();
  return stats.faults_first_touch + stats.faults_sole_owner + stats.faults_moved + stats.faults_to_history +
         stats.faults_already_done;
}

/// Two versions, and every other page written since each.
struct Past {
  explicit Past(Arena arena, bool lent) : painted(std::move(arena)) {
    painted.paint_run(0, pages - 40, 1);
    first = painted.arena().snapshot();
    first_picture = painted.picture();
    if (lent) view = first.view();
    paint_scattered(1, 2);
    second = painted.arena().snapshot();
    second_picture = painted.picture();
    paint_scattered(0, 3);
  }
  void paint_scattered(std::size_t from, std::uint64_t value) {
    for (std::size_t page = from; page < pages; page += 2) painted.paint(page, value);
  }
  void expect_intact() {
    EXPECT_TRUE(painted.is_right());
    EXPECT_TRUE(shows(first, first_picture));
    EXPECT_TRUE(shows(second, second_picture));
    if (view) {
      EXPECT_TRUE(shows(*view, first_picture));
    }
  }

  Painted painted;
  Snapshot first, second;
  Picture first_picture, second_picture;
  std::optional<View> view;
};

class RollbackNearTheBudget : public BarrierTest {};
COW_FOR_EVERY_BARRIER(RollbackNearTheBudget);

TEST_P(RollbackNearTheBudget, takes_no_fault_of_its_own) {
  for (const bool lent : {false, true}) {
    for (const bool to_first : {false, true}) {
      for (const std::uint64_t left : {0U, 10U, 100U, 1000U}) {
        SCOPED_TRACE(std::to_string(left) + " left, " + (lent ? "lent" : "not lent") + (to_first ? ", to the first" : ""));
        Past past(make_arena(pages), lent);
        const BudgetLeft budget(left);
        const std::uint64_t before = faults(past.painted.arena());
        past.painted.arena().rollback(to_first ? past.first : past.second);
        EXPECT_EQ(faults(past.painted.arena()), before);
        past.painted.set_picture(to_first ? past.first_picture : past.second_picture);
        past.expect_intact();
        past.paint_scattered(0, 4);
        past.expect_intact();
      }
    }
  }
}

TEST_P(RollbackNearTheBudget, of_a_clone_to_its_base_takes_none_either) {
  for (const std::uint64_t left : {0U, 10U, 100U}) {
    Past past(make_arena(pages), false);
    Painted clone(past.second.clone(), past.second_picture);
    for (std::size_t page = 0; page < pages; page += 3) clone.paint(page, 5);
    { const Snapshot between = clone.arena().snapshot(); }
    for (std::size_t page = 1; page < pages; page += 3) clone.paint(page, 6);
    const BudgetLeft budget(left);
    const std::uint64_t before = faults(clone.arena());
    clone.arena().rollback(past.second);
    EXPECT_EQ(faults(clone.arena()), before) << left << " left";
    clone.set_picture(past.second_picture);
    EXPECT_TRUE(clone.is_right());
    past.expect_intact();
  }
}

TEST_P(RollbackNearTheBudget, is_whole_or_throws_whichever_call_is_refused) {
  for (std::int64_t nth = 1; nth < 3000; nth += 1 + nth / 20) {
    SCOPED_TRACE("call " + std::to_string(nth) + " fails");
    Past past(make_arena(pages), nth % 2 == 0);
    const BudgetLeft budget(10);
    const std::int64_t before = os::calls_made();
    os::fail_after(nth);
    bool failed = false;
    try {
      past.painted.arena().rollback(past.second);
    } catch (const std::system_error&) {
      failed = true;
    }
    os::fail_after(0);
    if (!failed) past.painted.set_picture(past.second_picture);
    past.expect_intact();
    past.paint_scattered(0, 4);
    past.painted.arena().rollback(past.first);
    past.painted.set_picture(past.first_picture);
    past.expect_intact();
    if (HasFailure() || os::calls_made() - before < nth) return;
  }
  FAIL() << "the rollback never completes";
}

}  // namespace
}  // namespace cow::test

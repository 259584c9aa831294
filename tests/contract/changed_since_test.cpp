// Promise: changed_since names every page that differs from a snapshot, sorted and disjoint, and not the whole arena.
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class ChangedSince : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ChangedSince);

testing::AssertionResult is_tidy(const std::vector<PageRange>& ranges, std::size_t page_limit) {
  std::size_t end = 0;
  for (const PageRange& range : ranges) {
    if (range.count == 0) return testing::AssertionFailure() << "an empty range at " << range.first;
    if (range.first < end) return testing::AssertionFailure() << "not sorted or overlapping at " << range.first;
    end = range.first + range.count;
    if (end > page_limit) return testing::AssertionFailure() << "outside of the arena: " << end;
  }
  return testing::AssertionSuccess();
}

std::size_t pages_in(const std::vector<PageRange>& ranges) {
  std::size_t total = 0;
  for (const PageRange& range : ranges) total += range.count;
  return total;
}

bool has(const std::vector<PageRange>& ranges, std::size_t page) {
  for (const PageRange& range : ranges)
    if (page >= range.first && page < range.first + range.count) return true;
  return false;
}

TEST_P(ChangedSince, is_empty_right_after_the_snapshot) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 40, 1);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_TRUE(arena.changed_since(snapshot).empty());
}

TEST_P(ChangedSince, names_written_pages_and_not_many_others) {
  constexpr std::size_t pages = 1024;
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot snapshot = arena.snapshot();
  const std::vector<std::size_t> written = {5, 6, 300, 1023};
  for (const std::size_t page : written) put_mark(arena, page, 2);
  const auto changed = arena.changed_since(snapshot);
  EXPECT_TRUE(is_tidy(changed, pages));
  for (const std::size_t page : written) EXPECT_TRUE(has(changed, page)) << page;
  EXPECT_LE(pages_in(changed), 4 * 32U);
}

TEST_P(ChangedSince, adds_up_over_later_snapshots) {
  constexpr std::size_t pages = 512;
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  std::vector<Snapshot> snapshots;
  for (std::size_t step = 0; step < 5; ++step) {
    snapshots.push_back(arena.snapshot());
    put_mark(arena, step * 100, 2);
  }
  for (std::size_t since = 0; since < 5; ++since) {
    const auto changed = arena.changed_since(snapshots[since]);
    EXPECT_TRUE(is_tidy(changed, pages));
    for (std::size_t step = since; step < 5; ++step) EXPECT_TRUE(has(changed, step * 100)) << since << " " << step;
    EXPECT_LE(pages_in(changed), 5 * 32U);
  }
}

TEST_P(ChangedSince, still_knows_when_the_snapshots_in_between_are_gone) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Snapshot first = arena.snapshot();
  put_mark(arena, 10, 2);
  Snapshot second = arena.snapshot();
  put_mark(arena, 50, 2);
  second = Snapshot();
  const auto changed = arena.changed_since(first);
  EXPECT_TRUE(has(changed, 10));
  EXPECT_TRUE(has(changed, 50));
}

TEST_P(ChangedSince, counts_rollback_and_discard_as_changes) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Snapshot first = arena.snapshot();
  fill(arena, 7, 2);
  const Snapshot second = arena.snapshot();
  arena.rollback(first);
  EXPECT_TRUE(has(arena.changed_since(second), 7));
  arena.discard(page_at(arena, 20), 2 * page_size());
  const auto changed = arena.changed_since(second);
  EXPECT_TRUE(is_tidy(changed, 64));
  EXPECT_TRUE(has(changed, 20));
  EXPECT_TRUE(has(changed, 21));
}

TEST_P(ChangedSince, names_pages_written_for_the_first_time) {
  Arena arena = make_arena(64);
  const Snapshot empty = arena.snapshot();
  fill(arena, 33, 1);
  EXPECT_TRUE(has(arena.changed_since(empty), 33));
}

TEST_P(ChangedSince, compares_a_clone_with_its_base) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  EXPECT_TRUE(clone.changed_since(base).empty());
  fill(clone, 9, 2);
  fill(arena, 40, 3);
  const auto changed = clone.changed_since(base);
  EXPECT_TRUE(is_tidy(changed, 64));
  EXPECT_TRUE(has(changed, 9));
  EXPECT_FALSE(has(changed, 40));
}

}  // namespace
}  // namespace cow::test

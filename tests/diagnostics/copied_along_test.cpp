// Promise: copies that the program did not need can be counted.
#include <gtest/gtest.h>

#include "cow/copied_along.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class CopiedAlong : public BarrierTest {};
COW_FOR_EVERY_BARRIER(CopiedAlong);

TEST_P(CopiedAlong, is_zero_without_a_snapshot) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  EXPECT_EQ(copies_since_snapshot(arena).pages, 0U);
}

TEST_P(CopiedAlong, pages_that_were_written_are_not_for_nothing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  const Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, 64, 2);
  const CopiesSinceSnapshot copies = copies_since_snapshot(arena);
  EXPECT_EQ(copies.pages, 32U) << "first touches copy nothing";
  EXPECT_EQ(copies.unchanged, 0U);
}

TEST_P(CopiedAlong, pages_made_ready_and_not_written_are_for_nothing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  arena.prepare_write(page_at(arena, 10), 20 * page_size());
  fill_run(arena, 10, 5, 2);
  const CopiesSinceSnapshot copies = copies_since_snapshot(arena);
  EXPECT_EQ(copies.pages, 20U);
  EXPECT_EQ(copies.unchanged, 15U);
}

TEST_P(CopiedAlong, pages_that_moved_away_from_clones_count_too) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Arena clone = arena.clone();
  const Snapshot snapshot = arena.snapshot();
  arena.prepare_write(page_at(arena, 10), 4 * page_size());
  put_mark(arena, 11, 2);
  const CopiesSinceSnapshot copies = copies_since_snapshot(arena);
  EXPECT_EQ(copies.pages, 4U);
  EXPECT_EQ(copies.unchanged, 3U);
}

}  // namespace
}  // namespace cow::test

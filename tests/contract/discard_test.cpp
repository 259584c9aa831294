// Promise: discarded pages read as zero; their memory returns as soon as no snapshot needs it.
#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

class Discard : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Discard);

TEST_P(Discard, makes_whole_pages_read_as_zero) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  arena.discard(page_at(arena, 2), 3 * page_size());
  EXPECT_TRUE(shows(arena, {1, 1, 0, 0, 0, 1, 1, 1}));
}

TEST_P(Discard, leaves_pages_alone_that_are_only_partly_inside) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  arena.discard(page_at(arena, 2) + 1, 3 * page_size());
  EXPECT_TRUE(shows(arena, {1, 1, 1, 0, 0, 1, 1, 1}));
  arena.discard(page_at(arena, 6) + 1, page_size() - 1);
  arena.discard(page_at(arena, 6), page_size() - 1);
  EXPECT_TRUE(shows(arena, {1, 1, 1, 0, 0, 1, 1, 1}));
}

TEST_P(Discard, returns_the_memory_when_no_snapshot_needs_it) {
  Arena arena = make_arena(256);
  const std::uint64_t empty = memory_file_bytes();
  fill_run(arena, 0, 256, 1);
  ASSERT_GE(memory_file_bytes(), empty + 256 * page_size());
  arena.discard(arena.data(), arena.capacity());
  EXPECT_LE(memory_file_bytes(), empty + 16 * page_size());
  EXPECT_EQ(arena.stats().file_frames_used, 0U);
}

TEST_P(Discard, keeps_what_a_snapshot_needs_and_returns_it_with_that) {
  Arena arena = make_arena(256);
  const std::uint64_t empty = memory_file_bytes();
  fill_run(arena, 0, 256, 1);
  Snapshot snapshot = arena.snapshot();
  arena.discard(arena.data(), arena.capacity());
  EXPECT_TRUE(shows(snapshot, Picture(256, 1)));
  snapshot = Snapshot();
  const ArenaStats stats = arena.stats();
  EXPECT_EQ(stats.history_frames_used, 0U);
  EXPECT_EQ(stats.file_frames_used, 0U);
  // Frames kept for the next before-image are counted, and not more memory than those stays.
  EXPECT_LE(memory_file_bytes(), empty + (stats.history_frames_free + 16) * page_size());
}

TEST_P(Discard, is_followed_by_ordinary_writes) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot full = painted.arena().snapshot();
  painted.arena().discard(page_at(painted.arena(), 2), 4 * page_size());
  painted.set_picture({1, 1, 0, 0, 0, 0, 1, 1});
  const Picture gap = painted.picture();
  const Snapshot with_gap = painted.arena().snapshot();
  painted.paint_run(3, 4, 2);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(with_gap, gap));
  EXPECT_TRUE(shows(full, Picture(8, 1)));
}

TEST_P(Discard, in_the_original_leaves_a_clone_alone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  Painted clone(painted.arena().clone(), painted.picture());
  painted.arena().discard(painted.arena().data(), painted.arena().capacity());
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(shows(painted.arena(), Picture(8, 0)));
}

TEST_P(Discard, in_a_clone_leaves_the_original_and_an_open_view_alone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot base = painted.arena().snapshot();
  const View view = base.view();
  Painted clone(base.clone(), painted.picture());
  clone.arena().discard(page_at(clone.arena(), 1), 4 * page_size());
  clone.set_picture({1, 0, 0, 0, 0, 1, 1, 1});
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(view, Picture(8, 1)));
  clone.paint(2, 4);
  EXPECT_TRUE(clone.is_right());
  clone.arena().rollback(base);
  EXPECT_TRUE(shows(clone.arena(), Picture(8, 1)));
}

TEST_P(Discard, of_memory_never_written_or_of_nothing_is_fine) {
  Arena arena = make_arena(8);
  arena.discard(arena.data(), arena.capacity());
  arena.discard(arena.data(), 0);
  arena.discard(arena.data() + arena.capacity(), 0);
  EXPECT_TRUE(shows(arena, Picture(8, 0)));
}

TEST_P(Discard, can_be_repeated_between_snapshots) {
  Arena arena = make_arena(16);
  const Snapshot start = arena.snapshot();
  for (std::uint64_t round = 1; round < 40; ++round) {
    fill_run(arena, 0, 16, round);
    const Snapshot full = arena.snapshot();
    arena.discard(page_at(arena, round % 8), 8 * page_size());
    const Snapshot gap = arena.snapshot();
    ASSERT_TRUE(shows(full, Picture(16, round)));
    ASSERT_EQ(mark_of(gap, round % 8), 0U);
    ASSERT_EQ(mark_of(gap, (round % 8 + 8) % 16), round);
  }
  EXPECT_TRUE(shows(start, Picture(16, 0)));
}

}  // namespace
}  // namespace cow::test

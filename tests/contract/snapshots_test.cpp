// Promise: a snapshot keeps its content whatever the arena does, in any number, dropped in any order.
#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class Snapshots : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Snapshots);

TEST_P(Snapshots, keep_their_content_while_the_arena_is_overwritten) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 8, 1);
  const Picture before = painted.picture();
  const Snapshot snapshot = painted.arena().snapshot();
  painted.paint_run(4, 8, 2);
  EXPECT_TRUE(shows(snapshot, before));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Snapshots, hold_zero_for_pages_that_were_written_only_later) {
  Painted painted(make_arena(16));
  const Snapshot empty = painted.arena().snapshot();
  painted.paint_run(0, 16, 7);
  EXPECT_TRUE(shows(empty, Picture(16, 0)));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Snapshots, cut_between_two_writes_to_one_page) {
  Arena arena = make_arena(1);
  put_mark(arena, 0, 1);
  const Snapshot first = arena.snapshot();
  put_mark(arena, 0, 2);
  const Snapshot second = arena.snapshot();
  put_mark(arena, 0, 3);
  EXPECT_EQ(mark_of(first, 0), 1U);
  EXPECT_EQ(mark_of(second, 0), 2U);
  EXPECT_EQ(mark_of(arena, 0), 3U);
}

TEST_P(Snapshots, can_be_alive_by_the_hundreds) {
  constexpr std::size_t pages = 24;
  Painted painted(make_arena(pages));
  std::vector<std::pair<Snapshot, Picture>> taken;
  for (std::uint64_t step = 1; step <= 400; ++step) {
    painted.paint(step * 7 % pages, step);
    if (step % 3 == 0) painted.paint(step * 5 % pages, step);
    taken.emplace_back(painted.arena().snapshot(), painted.picture());
  }
  for (const auto& [snapshot, picture] : taken) ASSERT_TRUE(shows(snapshot, picture));
  EXPECT_EQ(painted.arena().stats().snapshots_alive, taken.size());
}

// Five snapshots with overlapping writes between them; all 120 orders of dropping them.
TEST_P(Snapshots, can_be_dropped_in_every_order) {
  std::vector<std::size_t> order(5);
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    Painted painted(make_arena(10));
    std::vector<std::pair<Snapshot, Picture>> taken;
    for (std::size_t step = 0; step < order.size(); ++step) {
      painted.paint_run(step, 3, step + 1);
      painted.paint(9 - step, step + 10);
      taken.emplace_back(painted.arena().snapshot(), painted.picture());
    }
    painted.paint_run(2, 4, 99);
    for (const std::size_t victim : order) {
      taken[victim].first = Snapshot();
      for (const auto& [snapshot, picture] : taken) {
        if (snapshot) {
          ASSERT_TRUE(shows(snapshot, picture)) << "after dropping " << victim;
        }
      }
      ASSERT_TRUE(painted.is_right());
    }
    ASSERT_EQ(painted.arena().stats().history_frames_used, 0U);
    ASSERT_EQ(painted.arena().stats().snapshots_alive, 0U);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(Snapshots, give_their_frames_back_when_the_last_holder_goes) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(64));
  painted.paint_run(0, 64, 1);
  Snapshot older = painted.arena().snapshot();
  Snapshot newer = older;
  painted.paint_run(0, 64, 2);
  EXPECT_EQ(painted.arena().stats().history_frames_used, 64U);
  older = Snapshot();
  EXPECT_EQ(painted.arena().stats().history_frames_used, 64U);
  newer = Snapshot();
  EXPECT_EQ(painted.arena().stats().history_frames_used, 0U);
}

TEST_P(Snapshots, hand_their_before_images_down_to_older_ones_that_need_them) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture first_picture = painted.picture();
  const Snapshot first = painted.arena().snapshot();
  painted.paint(0, 2);
  Snapshot second = painted.arena().snapshot();
  for (const std::size_t page : {0U, 2U, 4U, 6U}) painted.paint(page, 3);  // scattered: no page comes along in a block
  second = Snapshot();
  EXPECT_TRUE(shows(first, first_picture));
  EXPECT_EQ(painted.arena().stats().history_frames_used, 4U);  // page 0 of the second one went with it
}

TEST_P(Snapshots, of_an_arena_not_written_in_between_are_the_same_version) {
  Painted painted(make_arena(8));
  painted.paint(3, 1);
  const Snapshot first = painted.arena().snapshot();
  const Snapshot second = painted.arena().snapshot();
  EXPECT_EQ(first, second);
  EXPECT_EQ(painted.arena().stats().snapshots_alive, 1U);
  painted.paint(3, 2);
  const Snapshot third = painted.arena().snapshot();
  EXPECT_NE(third, first);
  EXPECT_EQ(painted.arena().stats().snapshots_alive, 2U);
}

TEST_P(Snapshots, of_an_empty_arena_are_the_same_version) {
  Arena arena = make_arena(8);
  const Snapshot first = arena.snapshot();
  EXPECT_EQ(first, arena.snapshot());
}

// What was made writable without a fault may have been written without one.
TEST_P(Snapshots, see_writes_that_caused_no_fault) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture before = painted.picture();
  const Snapshot first = painted.arena().snapshot();
  painted.arena().prepare_write(page_at(painted.arena(), 2), 3 * page_size());
  const Snapshot prepared = painted.arena().snapshot();
  painted.arena().prepare_write(page_at(painted.arena(), 2), 3 * page_size());
  painted.paint_run(2, 3, 5);
  const Picture after = painted.picture();
  const Snapshot second = painted.arena().snapshot();
  painted.paint_run(0, 8, 9);
  EXPECT_NE(first, second);
  EXPECT_NE(prepared, second);
  EXPECT_TRUE(shows(first, before));
  EXPECT_TRUE(shows(prepared, before));
  EXPECT_TRUE(shows(second, after));
}

TEST_P(Snapshots, after_a_rollback_are_not_mistaken_for_those_before_it) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture old_picture = painted.picture();
  const Snapshot old_one = painted.arena().snapshot();
  painted.paint_run(0, 8, 2);
  const Picture new_picture = painted.picture();
  const Snapshot new_one = painted.arena().snapshot();
  painted.arena().rollback(old_one);
  const Snapshot rolled_back = painted.arena().snapshot();
  EXPECT_NE(rolled_back, new_one);
  EXPECT_TRUE(shows(rolled_back, old_picture));
  EXPECT_TRUE(shows(new_one, new_picture));
  EXPECT_TRUE(shows(old_one, old_picture));
}

TEST_P(Snapshots, after_a_discard_are_not_mistaken_for_those_before_it) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture before = painted.picture();
  const Snapshot first = painted.arena().snapshot();
  painted.arena().discard(page_at(painted.arena(), 1), 2 * page_size());
  const Snapshot second = painted.arena().snapshot();
  EXPECT_NE(first, second);
  EXPECT_TRUE(shows(first, before));
  EXPECT_TRUE(shows(second, {1, 0, 0, 1, 1, 1, 1, 1}));
}

// The newest version went; the next snapshot must not be taken for it, nor for the one before it.
TEST_P(Snapshots, taken_after_the_newest_was_dropped_keep_what_is_there_now) {
  Painted painted(make_arena(4));
  painted.paint(0, 1);
  const Snapshot first = painted.arena().snapshot();
  painted.paint(0, 2);
  Snapshot second = painted.arena().snapshot();
  second = Snapshot();
  const Snapshot third = painted.arena().snapshot();
  EXPECT_NE(first, third);
  painted.paint(0, 3);
  EXPECT_EQ(mark_of(first, 0), 1U);
  EXPECT_EQ(mark_of(third, 0), 2U);
}

TEST_P(Snapshots, are_copied_as_handles_on_one_version) {
  Painted painted(make_arena(4));
  painted.paint(0, 1);
  Snapshot original = painted.arena().snapshot();
  Snapshot copy = original;
  EXPECT_EQ(copy, original);
  painted.paint(0, 2);
  const Snapshot moved = std::move(original);
  EXPECT_FALSE(original);  // NOLINT(bugprone-use-after-move): a moved-from handle is empty
  EXPECT_EQ(mark_of(moved, 0), 1U);
  const Snapshot& itself = copy;
  copy = itself;
  EXPECT_EQ(mark_of(copy, 0), 1U);
  EXPECT_EQ(painted.arena().stats().snapshots_alive, 1U);
}

TEST_P(Snapshots, swap_as_handles) {
  Painted painted(make_arena(4));
  painted.paint(0, 1);
  Snapshot first = painted.arena().snapshot();
  painted.paint(0, 2);
  Snapshot second = painted.arena().snapshot();
  using std::swap;
  swap(first, second);
  EXPECT_EQ(mark_of(first, 0), 2U);
  EXPECT_EQ(mark_of(second, 0), 1U);
}

TEST_P(Snapshots, know_the_capacity_of_their_arena) {
  Arena arena = make_arena(5);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_EQ(snapshot.capacity(), 5 * page_size());
  EXPECT_TRUE(static_cast<bool>(snapshot));
}

TEST(EmptySnapshot, has_no_capacity_and_is_false) {
  const Snapshot empty;
  EXPECT_FALSE(static_cast<bool>(empty));
  EXPECT_EQ(empty.capacity(), 0U);
  EXPECT_EQ(empty, Snapshot());
}

}  // namespace
}  // namespace cow::test

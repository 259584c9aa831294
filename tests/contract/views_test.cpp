// Promise: a view shows its snapshot's content at an address of its own, whatever happens to the arena.
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class Views : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Views);

TEST_P(Views, show_the_content_of_their_snapshot) {
  Painted painted(make_arena(16));
  painted.paint_run(2, 9, 1);
  const View view = painted.arena().snapshot().view();
  EXPECT_EQ(view.size(), painted.arena().capacity());
  EXPECT_TRUE(shows(view, painted.picture()));
}

TEST_P(Views, stay_while_the_arena_is_written) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 12, 1);
  const Picture then = painted.picture();
  const View view = painted.arena().snapshot().view();
  painted.paint_run(6, 10, 2);
  EXPECT_TRUE(shows(view, then));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Views, opened_late_show_what_the_arena_has_overwritten_since) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 12, 1);
  const Picture then = painted.picture();
  const Snapshot snapshot = painted.arena().snapshot();
  for (std::size_t page = 0; page < 16; page += 3) painted.paint(page, 2);
  const View view = snapshot.view();
  EXPECT_TRUE(shows(view, then));
  for (std::size_t page = 0; page < 16; page += 2) painted.paint(page, 3);
  EXPECT_TRUE(shows(view, then));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Views, of_one_snapshot_can_be_many) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  std::vector<View> views;
  for (std::uint64_t number = 0; number < 50; ++number) {
    views.push_back(snapshot.view());
    painted.paint(number % 8, number + 2);
  }
  for (const View& view : views) ASSERT_TRUE(shows(view, Picture(8, 1)));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Views, of_many_snapshots_each_keep_their_moment) {
  Painted painted(make_arena(8));
  std::vector<std::pair<View, Picture>> moments;
  for (std::uint64_t step = 1; step <= 50; ++step) {
    painted.paint(step * 3 % 8, step);
    moments.emplace_back(painted.arena().snapshot().view(), painted.picture());
    if (step % 5 == 0) moments.erase(moments.begin() + static_cast<std::ptrdiff_t>(step / 5));
  }
  for (const auto& [view, picture] : moments) ASSERT_TRUE(shows(view, picture));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Views, hold_their_version_when_the_handle_is_gone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  Snapshot snapshot = painted.arena().snapshot();
  const View view = snapshot.view();
  snapshot = Snapshot();
  painted.paint_run(0, 8, 2);
  painted.arena().discard(painted.arena().data(), painted.arena().capacity());
  EXPECT_TRUE(shows(view, Picture(8, 1)));
}

// A page written after the snapshot exists nowhere in it: the view must never come to show it.
TEST_P(Views, show_zero_for_pages_never_written_before) {
  Painted painted(make_arena(8));
  painted.paint(0, 1);
  const View view = painted.arena().snapshot().view();
  painted.paint_run(1, 7, 2);
  EXPECT_TRUE(shows(view, {1, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_P(Views, of_a_clones_snapshot_are_apart_from_clone_and_original) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  Painted clone(painted.arena().clone(), painted.picture());
  clone.paint_run(0, 3, 2);
  const Picture then = clone.picture();
  const View view = clone.arena().snapshot().view();
  clone.paint_run(2, 4, 3);
  painted.paint_run(0, 8, 4);
  EXPECT_TRUE(shows(view, then));
  EXPECT_TRUE(clone.is_right());
}

TEST_P(Views, stay_across_rollbacks) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot first = painted.arena().snapshot();
  painted.paint_run(0, 4, 2);
  const Picture second_picture = painted.picture();
  const View view = painted.arena().snapshot().view();
  painted.arena().rollback(first);
  painted.paint_run(0, 8, 3);
  painted.arena().rollback(first);
  EXPECT_TRUE(shows(view, second_picture));
  EXPECT_TRUE(shows(painted.arena(), Picture(8, 1)));
}

TEST_P(Views, that_are_closed_leave_the_snapshot_and_free_their_frames) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 32, 1);
  Snapshot snapshot = painted.arena().snapshot();
  {
    const View view = snapshot.view();
    painted.paint_run(0, 16, 2);
  }
  painted.paint_run(16, 16, 3);
  EXPECT_TRUE(shows(snapshot, Picture(32, 1)));
  snapshot = Snapshot();
  const ArenaStats stats = painted.arena().stats();
  EXPECT_EQ(stats.history_frames_used, 0U);
  EXPECT_EQ(stats.loose_frames, 0U);
  EXPECT_LE(stats.file_frames_used, 32U);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Views, contain_their_own_addresses_only) {
  Arena arena = make_arena(4);
  const View view = arena.snapshot().view();
  EXPECT_TRUE(view.contains(view.data()));
  EXPECT_TRUE(view.contains(view.data() + view.size() - 1));
  EXPECT_FALSE(view.contains(view.data() + view.size()));
  EXPECT_FALSE(view.contains(arena.data()));
  EXPECT_FALSE(arena.contains(view.data()));
}

TEST(EmptyView, shows_nothing) {
  const View empty;
  EXPECT_FALSE(static_cast<bool>(empty));
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_EQ(empty.size(), 0U);
  EXPECT_FALSE(empty.contains(&empty));
}

}  // namespace
}  // namespace cow::test

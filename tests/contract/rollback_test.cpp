// Promise: an arena goes back, or forward, to any of its snapshots, any number of times, at the same addresses.
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class Rollback : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Rollback);

TEST_P(Rollback, brings_the_content_back_at_the_same_address) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 8, 1);
  const Picture before = painted.picture();
  const std::byte* const address = painted.arena().data();
  const Snapshot snapshot = painted.arena().snapshot();
  painted.paint_run(4, 8, 2);
  painted.arena().rollback(snapshot);
  EXPECT_TRUE(shows(painted.arena(), before));
  EXPECT_EQ(painted.arena().data(), address);
}

TEST_P(Rollback, makes_pages_zero_again_that_were_not_written_then) {
  Painted painted(make_arena(8));
  const Snapshot empty = painted.arena().snapshot();
  painted.paint_run(0, 8, 3);
  painted.arena().rollback(empty);
  EXPECT_TRUE(shows(painted.arena(), Picture(8, 0)));
  EXPECT_TRUE(shows(empty, Picture(8, 0)));
}

TEST_P(Rollback, goes_to_older_and_to_newer_snapshots_in_any_sequence) {
  Painted painted(make_arena(12));
  std::vector<std::pair<Snapshot, Picture>> taken;
  for (std::size_t step = 0; step < 6; ++step) {
    painted.paint_run(step, 4, step + 1);
    taken.emplace_back(painted.arena().snapshot(), painted.picture());
  }
  for (const std::size_t target : {5U, 0U, 3U, 3U, 1U, 5U, 2U, 4U, 0U, 0U, 5U}) {
    painted.arena().rollback(taken[target].first);
    ASSERT_TRUE(shows(painted.arena(), taken[target].second)) << "at " << target;
    for (const auto& [snapshot, picture] : taken) ASSERT_TRUE(shows(snapshot, picture)) << "after " << target;
  }
}

TEST_P(Rollback, can_be_repeated_from_what_was_written_since) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture start = painted.picture();
  const Snapshot snapshot = painted.arena().snapshot();
  for (std::uint64_t round = 0; round < 200; ++round) {
    painted.paint(round % 8, round + 100);
    painted.paint((round * 3 + 1) % 8, round + 200);
    painted.arena().rollback(snapshot);
    painted.set_picture(start);
    ASSERT_TRUE(painted.is_right()) << "round " << round;
  }
  EXPECT_TRUE(shows(snapshot, start));
}

TEST_P(Rollback, of_an_arena_not_written_since_changes_nothing) {
  Painted painted(make_arena(8));
  painted.paint_run(2, 3, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  painted.arena().rollback(snapshot);
  painted.arena().rollback(snapshot);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(snapshot, painted.picture()));
}

TEST_P(Rollback, is_followed_by_ordinary_writes_and_snapshots) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture old_picture = painted.picture();
  const Snapshot old_one = painted.arena().snapshot();
  painted.paint_run(0, 4, 2);
  painted.arena().rollback(old_one);
  painted.set_picture(old_picture);
  painted.paint_run(2, 4, 3);
  const Picture new_picture = painted.picture();
  const Snapshot new_one = painted.arena().snapshot();
  painted.paint_run(0, 8, 4);
  EXPECT_TRUE(shows(old_one, old_picture));
  EXPECT_TRUE(shows(new_one, new_picture));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Rollback, works_when_snapshots_in_between_are_gone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture picture = painted.picture();
  const Snapshot oldest = painted.arena().snapshot();
  std::vector<Snapshot> between;
  for (std::uint64_t step = 2; step < 8; ++step) {
    painted.paint_run(step - 2, 2, step);
    between.push_back(painted.arena().snapshot());
  }
  between.erase(between.begin() + 1, between.begin() + 5);
  painted.paint_run(0, 3, 50);
  painted.arena().rollback(oldest);
  EXPECT_TRUE(shows(painted.arena(), picture));
}

TEST_P(Rollback, undoes_a_discard) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  painted.arena().discard(page_at(painted.arena(), 0), 8 * page_size());
  ASSERT_TRUE(shows(painted.arena(), Picture(8, 0)));
  painted.arena().rollback(snapshot);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Rollback, leaves_clones_and_views_as_they_were) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot first = painted.arena().snapshot();
  painted.paint_run(0, 4, 2);
  const Picture second_picture = painted.picture();
  const Snapshot second = painted.arena().snapshot();
  Painted clone(second.clone(), second_picture);
  const View view = second.view();
  painted.paint_run(3, 3, 3);
  painted.arena().rollback(first);
  EXPECT_TRUE(shows(painted.arena(), Picture(8, 1)));
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(shows(view, second_picture));
  painted.arena().rollback(second);
  EXPECT_TRUE(shows(painted.arena(), second_picture));
  EXPECT_TRUE(clone.is_right());
}

TEST_P(Rollback, of_a_clone_reaches_its_base) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 6, 1);
  const Picture base_picture = painted.picture();
  const Snapshot base = painted.arena().snapshot();
  Painted clone(base.clone(), base_picture);
  painted.paint_run(0, 8, 2);
  for (std::uint64_t round = 0; round < 3; ++round) {
    clone.paint_run(round, 5, 30 + round);
    clone.arena().rollback(base);
    ASSERT_TRUE(shows(clone.arena(), base_picture)) << "round " << round;
  }
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(base, base_picture));
}

TEST_P(Rollback, of_a_clone_goes_between_its_own_snapshots_and_its_base) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Picture base_picture = painted.picture();
  const Snapshot base = painted.arena().snapshot();
  Painted clone(base.clone(), base_picture);
  const Snapshot unwritten = clone.arena().snapshot();
  clone.paint_run(1, 3, 2);
  const Picture own_picture = clone.picture();
  const Snapshot own = clone.arena().snapshot();
  clone.paint_run(2, 5, 3);
  clone.arena().rollback(base);
  EXPECT_TRUE(shows(clone.arena(), base_picture));
  clone.arena().rollback(own);
  EXPECT_TRUE(shows(clone.arena(), own_picture));
  clone.arena().rollback(unwritten);
  EXPECT_TRUE(shows(clone.arena(), base_picture));
  EXPECT_TRUE(shows(own, own_picture));
}

TEST_P(Rollback, of_a_clone_reaches_its_base_after_the_first_arena_is_gone) {
  std::vector<Arena> original;
  original.push_back(make_arena(8));
  fill_run(original[0], 0, 8, 1);
  const Snapshot base = original[0].snapshot();
  Arena clone = base.clone();
  fill_run(original[0], 0, 8, 2);
  original.clear();
  fill_run(clone, 2, 4, 3);
  clone.rollback(base);
  EXPECT_TRUE(shows(clone, Picture(8, 1)));
}

TEST_P(Rollback, makes_no_new_frames_when_repeated) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 64, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  painted.paint_run(0, 64, 2);
  painted.arena().rollback(snapshot);
  const ArenaStats once = painted.arena().stats();
  for (int round = 0; round < 50; ++round) {
    painted.paint_run(0, 64, 3);
    painted.arena().rollback(snapshot);
  }
  const ArenaStats often = painted.arena().stats();
  EXPECT_EQ(often.history_frames_used, once.history_frames_used);
  EXPECT_EQ(often.file_frames_used, once.file_frames_used);
}

}  // namespace
}  // namespace cow::test

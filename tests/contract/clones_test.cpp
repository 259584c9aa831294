// Promise: clones of arenas, snapshots and clones, to any depth; all sides isolated from each other.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class Clones : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Clones);

TEST_P(Clones, of_an_arena_start_with_its_content_at_another_address) {
  Painted painted(make_arena(16));
  painted.paint_run(3, 9, 1);
  Arena clone = painted.arena().clone();
  EXPECT_TRUE(shows(clone, painted.picture()));
  EXPECT_NE(clone.data(), painted.arena().data());
  EXPECT_EQ(clone.capacity(), painted.arena().capacity());
  EXPECT_EQ(clone.barrier(), painted.arena().barrier());
}

TEST_P(Clones, and_their_original_do_not_see_each_others_writes) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 12, 1);
  Painted clone(painted.arena().clone(), painted.picture());
  clone.paint_run(2, 4, 2);     // shared with the original
  painted.paint_run(4, 4, 3);   // some of them moved by the clone, some not
  clone.paint_run(6, 3, 4);
  clone.paint_run(12, 2, 5);    // never written before
  painted.paint_run(13, 3, 6);
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Clones, of_a_snapshot_start_with_what_the_arena_has_overwritten_since) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 8, 1);
  const Picture then = painted.picture();
  const Snapshot snapshot = painted.arena().snapshot();
  painted.paint_run(4, 8, 2);
  Painted clone(snapshot.clone(), then);
  EXPECT_TRUE(clone.is_right());
  clone.paint_run(0, 16, 3);
  painted.paint_run(0, 2, 4);
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(snapshot, then));
}

TEST_P(Clones, of_one_snapshot_are_as_many_as_one_likes) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 16, 1);
  const Snapshot base = painted.arena().snapshot();
  std::vector<Painted> siblings;
  for (std::uint64_t number = 0; number < 100; ++number) {
    siblings.emplace_back(base.clone(), Picture(16, 1));
    siblings.back().paint(number % 16, number + 100);
  }
  painted.paint_run(0, 16, 2);
  for (Painted& sibling : siblings) sibling.paint(5, 6);
  for (Painted& sibling : siblings) ASSERT_TRUE(sibling.is_right());
  EXPECT_TRUE(shows(base, Picture(16, 1)));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Clones, can_be_cloned_to_any_depth) {
  constexpr std::size_t depth = 40;
  std::vector<Painted> generations;
  generations.emplace_back(make_arena(depth + 2));
  generations.back().paint_run(0, depth, 1);
  for (std::size_t level = 1; level < depth; ++level) {
    Painted next(generations.back().arena().clone(), generations.back().picture());
    next.paint(level, level + 100);
    next.paint(depth, level);
    generations.push_back(std::move(next));
  }
  for (std::size_t level = 0; level < depth; ++level) generations[level].paint(0, level + 500);
  for (Painted& generation : generations) ASSERT_TRUE(generation.is_right());
}

TEST_P(Clones, of_clones_survive_the_clones_in_between) {
  Painted first(make_arena(12));
  first.paint_run(0, 8, 1);
  auto second = std::make_unique<Painted>(first.arena().clone(), first.picture());
  second->paint_run(2, 4, 2);
  auto third = std::make_unique<Painted>(second->arena().clone(), second->picture());
  third->paint_run(4, 4, 3);
  Painted fourth(third->arena().clone(), third->picture());
  second.reset();
  first.paint_run(0, 12, 4);
  EXPECT_TRUE(third->is_right());
  EXPECT_TRUE(fourth.is_right());
  third.reset();
  fourth.paint_run(1, 4, 5);
  EXPECT_TRUE(fourth.is_right());
  EXPECT_TRUE(first.is_right());
}

TEST_P(Clones, of_snapshots_of_clones_keep_them_apart) {
  Painted original(make_arena(12));
  original.paint_run(0, 12, 1);
  Painted clone(original.arena().clone(), original.picture());
  clone.paint_run(0, 4, 2);
  const Picture middle_picture = clone.picture();
  const Snapshot middle = clone.arena().snapshot();
  clone.paint_run(2, 6, 3);
  Painted grandchild(middle.clone(), middle_picture);
  EXPECT_TRUE(grandchild.is_right());
  grandchild.paint_run(3, 8, 4);
  original.paint_run(0, 12, 5);
  clone.paint_run(0, 12, 6);
  EXPECT_TRUE(grandchild.is_right());
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(original.is_right());
  EXPECT_TRUE(shows(middle, middle_picture));
}

TEST_P(Clones, dropped_unwritten_copied_nothing) {
  Painted painted(make_arena(256));
  painted.paint_run(0, 256, 1);
  const Snapshot base = painted.arena().snapshot();
  const ArenaStats before = painted.arena().stats();
  for (int round = 0; round < 20; ++round) {
    const Arena clone = base.clone();
    ASSERT_EQ(clone.stats().bytes_copied, 0U);
    ASSERT_EQ(mark_of(clone, 17), 1U);
  }
  const ArenaStats after = painted.arena().stats();
  EXPECT_EQ(after.bytes_copied, before.bytes_copied);
  EXPECT_EQ(after.file_frames_used, before.file_frames_used);
  EXPECT_EQ(after.history_frames_used, before.history_frames_used);
}

TEST_P(Clones, copy_only_what_they_write) {
  Painted painted(make_arena(256));
  painted.paint_run(0, 256, 1);
  Arena clone = painted.arena().clone();
  for (const std::size_t page : {3U, 70U, 130U, 200U}) put_mark(clone, page, 2);
  const ArenaStats stats = clone.stats();
  EXPECT_GE(stats.bytes_copied, 4 * page_size());
  EXPECT_LE(stats.bytes_copied, 4 * 32 * page_size());  // a block is at most 32 pages with content
  EXPECT_EQ(stats.pages_borrowed + stats.pages_private, 256U);
}

// Once a clone that was written is gone, its original is sole owner again and copies nothing on the next write.
TEST_P(Clones, that_are_gone_cost_their_original_nothing_more) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 64, 1);
  {
    Painted clone(painted.arena().clone(), painted.picture());
    clone.paint_run(0, 64, 2);
  }
  const ArenaStats before = painted.arena().stats();
  painted.paint_run(0, 64, 3);
  const ArenaStats after = painted.arena().stats();
  EXPECT_EQ(after.bytes_copied, before.bytes_copied);
  EXPECT_EQ(after.history_frames_used, 0U);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Clones, taken_between_writes_each_keep_their_moment) {
  Painted painted(make_arena(16));
  std::vector<Painted> moments;
  for (std::uint64_t step = 1; step <= 60; ++step) {
    painted.paint(step * 5 % 16, step);
    moments.emplace_back(painted.arena().clone(), painted.picture());
    if (step % 4 == 0) moments[step / 2].paint(step % 16, step + 1000);
    if (step % 7 == 0) moments.erase(moments.begin() + static_cast<std::ptrdiff_t>(step / 7));
  }
  for (Painted& moment : moments) ASSERT_TRUE(moment.is_right());
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Clones, can_be_dropped_in_every_order_with_their_original) {
  std::vector<std::size_t> order = {0, 1, 2, 3};
  do {
    std::vector<std::unique_ptr<Painted>> family;
    family.push_back(std::make_unique<Painted>(make_arena(8)));
    family[0]->paint_run(0, 6, 1);
    for (std::size_t number = 1; number < 4; ++number) {
      Painted& parent = *family[number - 1];
      family.push_back(std::make_unique<Painted>(parent.arena().clone(), parent.picture()));
      family[number]->paint_run(number, 3, number + 1);
    }
    for (const std::size_t victim : order) {
      family[victim].reset();
      for (const auto& member : family) {
        if (member == nullptr) continue;
        ASSERT_TRUE(member->is_right());
        member->paint(victim, victim + 20);
      }
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

// A store that copies from a clone into its original reads and faults in both.
TEST_P(Clones, can_be_copied_into_their_original) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  Painted clone(painted.arena().clone(), painted.picture());
  clone.paint_run(0, 8, 2);
  std::memcpy(page_at(painted.arena(), 1), page_at(clone.arena(), 1), 5 * page_size());
  EXPECT_TRUE(shows(painted.arena(), {1, 2, 2, 2, 2, 2, 1, 1}));
  EXPECT_TRUE(clone.is_right());
}

}  // namespace
}  // namespace cow::test

// Promise: snapshots, clones and views outlive what they came from; moves keep everything; the last one to go
// leaves nothing behind in the process.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

class Lifetime : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Lifetime);

TEST_P(Lifetime, snapshots_outlive_their_arena) {
  Snapshot older;
  Snapshot newer;
  {
    Arena arena = make_arena(16);
    fill_run(arena, 0, 8, 1);
    older = arena.snapshot();
    fill_run(arena, 4, 8, 2);
    newer = arena.snapshot();
    fill_run(arena, 0, 16, 3);
  }
  EXPECT_TRUE(shows(older, {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(shows(newer, {1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0}));
  older = Snapshot();
  EXPECT_TRUE(shows(newer, {1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0}));
}

TEST_P(Lifetime, a_snapshot_never_written_past_outlives_its_arena) {
  Snapshot snapshot;
  {
    Arena arena = make_arena(4);
    fill_run(arena, 1, 2, 1);
    snapshot = arena.snapshot();
  }
  EXPECT_TRUE(shows(snapshot, {0, 1, 1, 0}));
}

TEST_P(Lifetime, snapshots_are_cloned_and_viewed_after_their_arena_is_gone) {
  Snapshot snapshot;
  {
    Arena arena = make_arena(8);
    fill_run(arena, 0, 6, 1);
    snapshot = arena.snapshot();
    fill_run(arena, 2, 4, 2);
  }
  const Picture picture = {1, 1, 1, 1, 1, 1, 0, 0};
  Painted clone(snapshot.clone(), picture);
  const View view = snapshot.view();
  clone.paint_run(0, 8, 5);
  Painted second(snapshot.clone(), picture);
  snapshot = Snapshot();
  EXPECT_TRUE(shows(view, picture));
  EXPECT_TRUE(second.is_right());
  EXPECT_TRUE(clone.is_right());
}

TEST_P(Lifetime, clones_outlive_the_snapshot_and_the_arena) {
  std::optional<Painted> clone;
  {
    Arena arena = make_arena(8);
    fill_run(arena, 0, 8, 1);
    const Snapshot snapshot = arena.snapshot();
    fill_run(arena, 0, 4, 2);
    clone.emplace(snapshot.clone(), Picture(8, 1));
    clone->paint(7, 3);
  }
  EXPECT_TRUE(clone->is_right());
  clone->paint_run(2, 4, 4);
  EXPECT_TRUE(clone->is_right());
}

TEST_P(Lifetime, views_outlive_the_snapshot_and_the_arena) {
  View view;
  {
    Arena arena = make_arena(8);
    fill_run(arena, 0, 8, 1);
    const Snapshot snapshot = arena.snapshot();
    view = snapshot.view();
    fill_run(arena, 0, 4, 2);
  }
  EXPECT_TRUE(shows(view, Picture(8, 1)));
}

TEST_P(Lifetime, the_snapshots_of_a_clone_outlive_it_and_its_base) {
  Snapshot of_clone;
  {
    Arena arena = make_arena(8);
    fill_run(arena, 0, 8, 1);
    Arena clone = arena.clone();
    fill_run(clone, 0, 2, 2);
    of_clone = clone.snapshot();
    fill_run(clone, 0, 8, 3);
    fill_run(arena, 0, 8, 4);
  }
  EXPECT_TRUE(shows(of_clone, {2, 2, 1, 1, 1, 1, 1, 1}));
}

TEST_P(Lifetime, a_moved_arena_keeps_its_memory_its_snapshots_and_its_faults) {
  Arena first = make_arena(8);
  fill_run(first, 0, 8, 1);
  const Snapshot snapshot = first.snapshot();
  std::byte* const address = first.data();
  Arena second = std::move(first);
  EXPECT_EQ(second.data(), address);
  fill_run(second, 2, 2, 2);
  EXPECT_TRUE(shows(second, {1, 1, 2, 2, 1, 1, 1, 1}));
  second.rollback(snapshot);
  EXPECT_TRUE(shows(second, Picture(8, 1)));
}

TEST_P(Lifetime, assigning_to_an_arena_drops_what_it_held) {
  Arena first = make_arena(8);
  fill_run(first, 0, 8, 1);
  const Snapshot of_first = first.snapshot();
  Arena second = make_arena(4);
  fill_run(second, 0, 4, 2);
  first = std::move(second);
  EXPECT_TRUE(shows(first, Picture(4, 2)));
  EXPECT_TRUE(shows(of_first, Picture(8, 1)));
}

TEST_P(Lifetime, an_arena_assigned_to_itself_stays) {
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  Arena& itself = arena;
  arena = std::move(itself);
  EXPECT_TRUE(shows(arena, Picture(4, 1)));
}

TEST_P(Lifetime, arenas_can_be_moved_about_in_a_vector) {
  std::vector<Painted> arenas;
  for (std::uint64_t number = 0; number < 20; ++number) {
    arenas.emplace_back(make_arena(4));
    arenas.back().paint(number % 4, number + 1);
  }
  arenas.erase(arenas.begin(), arenas.begin() + 7);
  for (Painted& each : arenas) {
    each.paint(1, 77);
    ASSERT_TRUE(each.is_right());
  }
}

TEST_P(Lifetime, moving_a_view_keeps_its_address) {
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  View first = arena.snapshot().view();
  const std::byte* const address = first.data();
  View second = std::move(first);
  EXPECT_EQ(second.data(), address);
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move): a moved-from view is empty
  EXPECT_EQ(first.size(), 0U);
  fill_run(arena, 0, 4, 2);
  EXPECT_TRUE(shows(second, Picture(4, 1)));
  second = View();
  EXPECT_FALSE(second);
}

// Everything that a family of arenas takes from the process: mappings, descriptors, memory files.
TEST_P(Lifetime, the_last_of_a_family_leaves_nothing_behind) {
  const auto live_a_life = [this] {
    Painted painted(make_arena(64));
    painted.paint_run(0, 64, 1);
    const Snapshot first = painted.arena().snapshot();
    painted.paint_run(10, 30, 2);
    Painted clone(first.clone(), Picture(64, 1));
    clone.paint_run(0, 20, 3);
    const View view = painted.arena().snapshot().view();
    Arena second_clone = clone.arena().clone();
    fill(second_clone, 50, 4);
    painted.arena().rollback(first);
  };
  live_a_life();  // what is made once for the process stays
  const std::size_t mappings_before = mapping_count();
  const std::size_t descriptors_before = descriptor_count();
  const std::uint64_t memory_before = memory_file_bytes();
  for (int round = 0; round < 30; ++round) live_a_life();
  EXPECT_LE(mapping_count(), mappings_before + 8);  // the C library may map memory of its own meanwhile
  EXPECT_EQ(descriptor_count(), descriptors_before);
  EXPECT_EQ(memory_file_bytes(), memory_before);
}

TEST_P(Lifetime, the_address_of_a_dropped_arena_is_free_again) {
  void* address = nullptr;
  {
    const Arena arena = make_arena(16);
    address = arena.data();
    put_mark(arena, 0, 1);
  }
  ArenaOptions options = options_for(GetParam(), 16);
  options.address = address;
  const Arena again(options);
  EXPECT_EQ(again.data(), address);
  EXPECT_EQ(mark_of(again, 0), 0U);
}

}  // namespace
}  // namespace cow::test

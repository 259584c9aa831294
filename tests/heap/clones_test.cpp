// Promise: the heap goes where its arena goes: back in a rollback, along into clones and views.
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

struct Pair {
  int number;
  offset_ptr<Pair> next;
};

TEST(Clone, has_the_same_blocks_and_allocates_on_its_own) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  std::vector<Block> blocks;
  for (std::size_t bytes = 10; bytes < 30'000; bytes += bytes / 3) {
    blocks.push_back(allocate_block(heap, arena, bytes, static_cast<std::uint8_t>(bytes)));
  }
  Arena clone = arena.clone();
  Heap cloned(clone);
  EXPECT_TRUE(is_sound(cloned));
  EXPECT_TRUE(holds_all(clone, blocks));
  for (const Block& block : blocks) cloned.deallocate(block.in(clone));
  EXPECT_EQ(cloned.stats().live_blocks, 0u);
  EXPECT_EQ(heap.stats().live_blocks, blocks.size());
  for (int i = 0; i < 1'000; ++i) (void)allocate_block(cloned, clone, 200, 0xee);
  EXPECT_TRUE(holds_all(arena, blocks));
  EXPECT_TRUE(is_sound(heap));
  EXPECT_TRUE(is_sound(cloned));
}

TEST(Clone, of_a_clone_outlives_both_its_forebears) {
  auto first = std::make_unique<Arena>(arena_of(16 * mib));
  Heap heap(*first);
  const Block block = allocate_block(heap, *first, 5'000, 42);
  auto second = std::make_unique<Arena>(first->clone());
  Arena third = second->clone();
  first.reset();
  second.reset();
  Heap third_heap(third);
  EXPECT_TRUE(holds(third, block));
  (void)allocate_block(third_heap, third, 5'000, 43);
  EXPECT_TRUE(is_sound(third_heap));
}

TEST(Heap, follows_its_arena_when_that_is_moved) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  const Block block = allocate_block(heap, arena, 100, 1);
  Arena moved = std::move(arena);
  heap.deallocate(block.in(moved));
  EXPECT_TRUE(moved.contains(heap.allocate(100)));
  EXPECT_TRUE(is_sound(heap));
}

TEST(Rollback, takes_allocations_and_frees_back) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  std::vector<Block> blocks;
  for (int i = 0; i < 1'000; ++i) blocks.push_back(allocate_block(heap, arena, 300, static_cast<std::uint8_t>(i)));
  const Block large = allocate_block(heap, arena, 4 * mib, 77);
  const Snapshot snapshot = arena.snapshot();
  const HeapStats before = heap.stats();
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < blocks.size(); i += 2) heap.deallocate(blocks[i].in(arena));
    heap.deallocate(large.in(arena));
    for (int i = 0; i < 2'000; ++i) (void)allocate_block(heap, arena, 120, 0xaa);
    (void)allocate_block(heap, arena, 6 * mib, 0xbb);
    arena.rollback(snapshot);
    EXPECT_EQ(heap.stats().live_blocks, before.live_blocks);
    EXPECT_EQ(heap.stats().live_bytes, before.live_bytes);
    EXPECT_TRUE(holds_all(arena, blocks));
    EXPECT_TRUE(holds(arena, large));
    EXPECT_TRUE(is_sound(heap));
  }
}

TEST(Root, leads_clones_and_views_to_the_rest) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  EXPECT_EQ(heap.root<Pair>(), nullptr);
  Pair* const second = heap.create<Pair>(2, nullptr);
  Pair* const first = heap.create<Pair>(1, second);
  heap.set_root(first);
  EXPECT_EQ(heap.root<Pair>(), first);

  const Snapshot snapshot = arena.snapshot();
  Arena clone = snapshot.clone();
  Heap cloned(clone);
  Pair* const cloned_first = cloned.root<Pair>();
  EXPECT_TRUE(clone.contains(cloned_first));
  EXPECT_TRUE(clone.contains(cloned_first->next.get()));
  EXPECT_EQ(cloned_first->next->number, 2);
  cloned_first->next->number = 3;
  EXPECT_EQ(second->number, 2);

  const View view = snapshot.view();
  const Pair* const viewed = Heap::root<Pair>(view);
  EXPECT_TRUE(view.contains(viewed));
  EXPECT_EQ(viewed->next->number, 2);
}

TEST(Root, is_checked_against_the_type_it_was_set_as) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  heap.set_root(heap.create<Pair>(1, nullptr));
  EXPECT_THROW((void)heap.root<int>(), std::logic_error);
  EXPECT_NE(heap.root<const Pair>(), nullptr);
  EXPECT_NE(heap.root<void>(), nullptr);
  const View view = arena.snapshot().view();
  EXPECT_THROW((void)Heap::root<int>(view), std::logic_error);
  EXPECT_NE(Heap::root<void>(view), nullptr);

  heap.set_root(static_cast<void*>(heap.root<Pair>()));
  EXPECT_NE(heap.root<Pair>(), nullptr);
  heap.set_root(nullptr);
  EXPECT_EQ(heap.root<int>(), nullptr);
}

TEST(Root, must_lie_in_the_arena) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  int elsewhere = 0;
  EXPECT_THROW(heap.set_root(&elsewhere), std::invalid_argument);
}

TEST(Root, of_a_view_without_a_heap_is_refused) {
  Arena arena = arena_of(mib);
  arena.data()[0] = std::byte{1};
  const View view = arena.snapshot().view();
  EXPECT_THROW((void)Heap::root<int>(view), std::invalid_argument);
  EXPECT_THROW((void)Heap::root<int>(View()), std::logic_error);
}

TEST(Root, goes_back_in_a_rollback) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  int* const old_root = heap.create<int>(1);
  heap.set_root(old_root);
  const Snapshot snapshot = arena.snapshot();
  heap.set_root(heap.create<long>(2));
  arena.rollback(snapshot);
  EXPECT_EQ(heap.root<int>(), old_root);
  EXPECT_EQ(*heap.root<int>(), 1);
}

}  // namespace
}  // namespace cow::test

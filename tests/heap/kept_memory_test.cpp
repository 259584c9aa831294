// Promise: free memory that is likely to be used again stays, what is not goes back to the system, and an option says
// how much at most.
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

void use_and_free(Heap& heap, const Arena& arena, int count, std::size_t bytes) {
  std::vector<Block> blocks;
  for (int i = 0; i < count; ++i) blocks.push_back(allocate_block(heap, arena, bytes, 1));
  for (const Block& block : blocks) heap.deallocate(block.in(arena));
}

TEST(KeptMemory, of_blocks_that_come_and_go_is_fetched_from_the_system_once) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  use_and_free(heap, arena, 40, mib);
  const std::uint64_t with_forty = memory_file_bytes();
  const ArenaStats before = arena.stats();
  for (int round = 0; round < 5; ++round) {
    EXPECT_GE(heap.stats().kept_bytes, 39 * mib);
    use_and_free(heap, arena, 20, 2 * mib);
  }
  EXPECT_LE(memory_file_bytes(), with_forty + mib);
  EXPECT_LE(arena.stats().since(before).faults(), 20u);
  EXPECT_TRUE(is_sound(heap));
  heap.trim();
  EXPECT_EQ(heap.stats().kept_bytes, 0u);
  EXPECT_LT(memory_file_bytes(), with_forty - 38 * mib);
}

TEST(KeptMemory, is_at_most_what_the_option_says) {
  for (const std::size_t most : {std::size_t{0}, 8 * mib}) {
    Arena arena = arena_of(256 * mib);
    Heap heap(arena, HeapOptions{.keep_free_bytes = most});
    const std::uint64_t at_first = memory_file_bytes();
    use_and_free(heap, arena, 40, mib);
    EXPECT_LE(heap.stats().kept_bytes, most);
    EXPECT_LE(memory_file_bytes(), at_first + most + mib);
    Arena cloned = arena.clone();
    Heap of_clone(cloned);
    use_and_free(of_clone, cloned, 40, mib);
    EXPECT_LE(of_clone.stats().kept_bytes, most);
    EXPECT_TRUE(is_sound(of_clone));
  }
}

TEST(KeptMemory, follows_an_option_that_is_set_later) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  use_and_free(heap, arena, 40, mib);
  EXPECT_GT(heap.stats().kept_bytes, 30 * mib);
  const Heap thrifty(arena, HeapOptions{.keep_free_bytes = mib});
  use_and_free(heap, arena, 40, mib);
  EXPECT_LE(heap.stats().kept_bytes, mib);
}

TEST(KeptMemory, is_no_more_than_was_recently_used) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  use_and_free(heap, arena, 40, mib);
  for (int i = 0; i < 800; ++i) heap.deallocate(heap.allocate(mib));
  EXPECT_LE(heap.stats().kept_bytes, 4 * mib);
  EXPECT_TRUE(is_sound(heap));
}

TEST(KeptMemory, that_was_cut_since_is_left_and_goes_back) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  use_and_free(heap, arena, 40, mib);
  for (int i = 0; i < 3; ++i) {
    (void)arena.snapshot();
    use_and_free(heap, arena, 40, mib);
  }
  EXPECT_LE(heap.stats().kept_bytes, 61 * mib);
  (void)arena.snapshot();
  for (int i = 0; i < 100; ++i) use_and_free(heap, arena, 1, 100'000);
  EXPECT_LE(heap.stats().kept_bytes, 4 * mib);
  EXPECT_TRUE(is_sound(heap));
}

TEST(KeptMemory, changes_nothing_that_snapshots_and_clones_show) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  std::vector<Block> old;
  for (int i = 0; i < 20; ++i) old.push_back(allocate_block(heap, arena, mib, static_cast<std::uint8_t>(i + 1)));
  const Snapshot with_old = arena.snapshot();
  for (const Block& block : old) heap.deallocate(block.in(arena));
  use_and_free(heap, arena, 20, mib);
  Arena cloned = arena.clone();  // with the kept memory
  Heap of_clone(cloned);
  std::vector<Block> in_clone, in_arena;
  for (int i = 0; i < 20; ++i) {
    in_clone.push_back(allocate_block(of_clone, cloned, mib, 100));
    in_arena.push_back(allocate_block(heap, arena, mib, 200));
  }
  EXPECT_TRUE(holds_all(cloned, in_clone));
  EXPECT_TRUE(holds_all(arena, in_arena));
  EXPECT_TRUE(holds_all(with_old.clone(), old));
  arena.rollback(with_old);
  EXPECT_TRUE(holds_all(arena, old));
  EXPECT_TRUE(holds_all(cloned, in_clone));
  EXPECT_TRUE(is_sound(heap));
  EXPECT_TRUE(is_sound(of_clone));
}

}  // namespace
}  // namespace cow::test

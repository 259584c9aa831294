// Promise: kind to pages. What a snapshot must keep is what the program writes, and little more.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

std::vector<Block> fill_with(Heap& heap, Arena& arena, std::size_t count, Random& random) {
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < count; ++i) {
    blocks.push_back(allocate_block(heap, arena, 16 + random.below(497), static_cast<std::uint8_t>(i)));
  }
  return blocks;
}

std::size_t bytes_of(const std::vector<Block>& blocks) {
  std::size_t sum = 0;
  for (const Block& block : blocks) sum += block.bytes;
  return sum;
}

TEST(Pages, of_a_block_are_not_touched_when_it_is_freed) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  std::vector<Block> blocks;
  for (const std::size_t bytes : {16u, 100u, 500u, 3'000u, 8'000u}) {
    for (int i = 0; i < 50; ++i) blocks.push_back(allocate_block(heap, arena, bytes, 1));
  }
  const auto lowest = std::min_element(blocks.begin(), blocks.end(),
                                       [](const Block& a, const Block& b) { return a.offset < b.offset; });
  const std::size_t first_page_of_blocks = lowest->offset / page_size();
  const Snapshot before = arena.snapshot();
  for (std::size_t i = 0; i < blocks.size(); i += 2) heap.deallocate(blocks[i].in(arena));
  for (const PageRange& range : arena.changed_since(before)) {
    EXPECT_LE(range.first + range.count, first_page_of_blocks) << "a page of blocks was written";
  }
}

TEST(Pages, are_shared_by_many_new_blocks_after_a_snapshot) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  Random random(seed_or(11));
  std::vector<Block> blocks = fill_with(heap, arena, 50'000, random);
  for (std::size_t i = 0; i < 200'000; ++i) {  // a heap with a past
    Block& block = blocks[random.below(blocks.size())];
    heap.deallocate(block.in(arena));
    block = allocate_block(heap, arena, 16 + random.below(497), 1);
  }
  const Snapshot before = arena.snapshot();
  std::size_t written = 0;
  for (std::size_t i = 0; i < 2'000; ++i) {
    Block& block = blocks[random.below(blocks.size())];
    heap.deallocate(block.in(arena));
    block = allocate_block(heap, arena, 16 + random.below(497), 2);
    written += block.bytes;
  }
  const std::size_t needed = written / page_size();
  const std::size_t books = 50'000 * 264 / 4096 * 64 / page_size();  // 64 bytes for each page of blocks
  const std::size_t begun = 40;                                      // pages: one of each size, and the header
  EXPECT_LE(pages_changed(arena, before), needed * 5 / 4 + books + begun);
  EXPECT_TRUE(holds_all(arena, blocks));
  EXPECT_TRUE(is_sound(heap));
}

TEST(Pages, that_were_already_copied_are_filled_before_another_is_opened) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  Random random(seed_or(5));
  std::vector<Block> blocks = fill_with(heap, arena, 20'000, random);
  for (std::size_t i = 0; i < blocks.size(); i += 20) heap.deallocate(blocks[i].in(arena));
  const Snapshot before = arena.snapshot();
  for (int i = 0; i < 100; ++i) (void)allocate_block(heap, arena, 64, 3);
  const std::size_t after_one_hundred = pages_changed(arena, before);
  for (int i = 0; i < 1'000; ++i) {  // blocks that come and go
    const Block block = allocate_block(heap, arena, 64, 4);
    heap.deallocate(block.in(arena));
  }
  EXPECT_LE(pages_changed(arena, before), after_one_hundred + 1);
}

TEST(Pages, are_made_writable_by_calls_rather_than_faults) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  Random random(seed_or(3));
  (void)fill_with(heap, arena, 20'000, random);
  const Snapshot before = arena.snapshot();
  const ArenaStats start = arena.stats();
  std::size_t pages = 0;
  for (int i = 0; i < 5'000; ++i) pages += allocate_block(heap, arena, 512, 5).bytes / 512;
  pages /= 8;
  EXPECT_LT(arena.stats().since(start).faults(), pages / 10);
}

TEST(Pages, in_use_are_few_more_than_the_live_blocks_need) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  Random random(seed_or(17));
  std::vector<Block> blocks = fill_with(heap, arena, 40'000, random);
  for (std::size_t i = 0; i < 400'000; ++i) {
    Block& block = blocks[random.below(blocks.size())];
    heap.deallocate(block.in(arena));
    block = allocate_block(heap, arena, 16 + random.below(497), 1);
  }
  const HeapStats stats = heap.stats();
  const double in_use = static_cast<double>(stats.used_bytes + stats.kept_bytes + stats.bookkeeping_bytes);
  EXPECT_LE(in_use / static_cast<double>(bytes_of(blocks)), 1.2);
  EXPECT_LE(static_cast<double>(arena.stats().pages_private * page_size()) / in_use, 1.02);
}

TEST(Pages, in_use_stay_few_with_a_snapshot_after_every_so_many_operations) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  Random random(seed_or(19));
  std::vector<Block> blocks = fill_with(heap, arena, 40'000, random);
  Snapshot latest;
  for (std::size_t i = 0; i < 200'000; ++i) {
    if (i % 2'000 == 0) latest = arena.snapshot();
    Block& block = blocks[random.below(blocks.size())];
    heap.deallocate(block.in(arena));
    block = allocate_block(heap, arena, 16 + random.below(497), 1);
  }
  const HeapStats stats = heap.stats();
  const double in_use = static_cast<double>(stats.used_bytes + stats.kept_bytes + stats.bookkeeping_bytes);
  EXPECT_LE(in_use / static_cast<double>(bytes_of(blocks)), 1.25);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Pages, of_freed_large_blocks_go_back_to_the_system) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena, HeapOptions{.keep_free_bytes = mib});
  const std::uint64_t at_first = memory_file_bytes();
  for (int round = 0; round < 3; ++round) {
    const Block block = allocate_block(heap, arena, 100 * mib, 1);
    EXPECT_GE(memory_file_bytes(), at_first + 100 * mib);
    heap.deallocate(block.in(arena));
    EXPECT_LT(memory_file_bytes(), at_first + 2 * mib);
  }
  EXPECT_TRUE(is_sound(heap));
}

/// The arena keeps some free history frames with their memory, for the next before-images: that is not the heap's.
std::uint64_t bytes_beside_free_history(const Arena& arena) {
  return memory_file_bytes() - arena.stats().history_frames_free * page_size();
}

TEST(Pages, of_freed_large_blocks_go_back_when_the_last_snapshot_that_needs_them_goes) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  const std::uint64_t at_first = bytes_beside_free_history(arena);
  const Block block = allocate_block(heap, arena, 50 * mib, 1);
  Snapshot snapshot = arena.snapshot();
  heap.deallocate(block.in(arena));
  EXPECT_GE(bytes_beside_free_history(arena), at_first + 50 * mib);
  {
    const Arena clone = snapshot.clone();
    snapshot = Snapshot();
    EXPECT_TRUE(holds(clone, block));
  }
  EXPECT_LT(bytes_beside_free_history(arena), at_first + mib);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Pages, of_freed_large_blocks_go_back_to_the_system_but_for_the_free_history_that_an_arena_keeps) {
  const std::uint64_t at_first = memory_file_bytes();
  Arena arena = arena_of(512 * mib);
  Heap heap(arena);
  const Block block = allocate_block(heap, arena, 200 * mib, 1);
  {
    const Snapshot snapshot = arena.snapshot();
    heap.deallocate(block.in(arena));
    EXPECT_GE(memory_file_bytes(), at_first + 200 * mib);
  }
  EXPECT_LE(memory_file_bytes(), at_first + (128 + 8) * mib);
}

TEST(Pages, without_a_live_block_are_not_in_use) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  std::vector<Block> blocks;
  for (std::size_t bytes = 16; bytes <= 20'000; bytes += 16) blocks.push_back(allocate_block(heap, arena, bytes, 1));
  const Snapshot snapshot = arena.snapshot();
  for (const Block& block : blocks) heap.deallocate(block.in(arena));
  EXPECT_EQ(heap.stats().live_bytes, 0u);
  EXPECT_EQ(heap.stats().used_bytes, 0u);
  EXPECT_TRUE(is_sound(heap));
  for (int i = 0; i < 2; ++i) {  // the page of a block that comes and goes
    const Block block = allocate_block(heap, arena, 100, 1);
    EXPECT_EQ(heap.stats().used_bytes, 4096u);
    heap.deallocate(block.in(arena));
    EXPECT_EQ(heap.stats().used_bytes, 0u);
  }
  EXPECT_TRUE(is_sound(heap));
}

TEST(Pages, that_are_free_are_given_back_by_trim) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  std::vector<Block> blocks;
  for (int i = 0; i < 20; ++i) blocks.push_back(allocate_block(heap, arena, 1'000, 1));
  blocks.push_back(allocate_block(heap, arena, 150'000, 1));
  for (const Block& block : blocks) heap.deallocate(block.in(arena));
  EXPECT_GT(heap.stats().kept_bytes, 150'000u);
  heap.trim();
  EXPECT_EQ(heap.stats().kept_bytes, 0u);
  EXPECT_EQ(heap.stats().used_bytes, 0u);
  EXPECT_TRUE(is_sound(heap));
}

}  // namespace
}  // namespace cow::test

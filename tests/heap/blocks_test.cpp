// Promise: blocks of any size and alignment, disjoint, given back, resized, until the arena is full.
#include <algorithm>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

bool is_aligned(const void* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

TEST(Heap, gives_blocks_that_do_not_overlap_and_hold_what_is_written) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  std::vector<Block> blocks;
  std::uint8_t value = 0;
  for (std::size_t bytes = 1; bytes <= 20'000; bytes += 1 + bytes / 16) {
    for (int i = 0; i < 5; ++i) blocks.push_back(allocate_block(heap, arena, bytes, ++value));
  }
  EXPECT_TRUE(holds_all(arena, blocks));
  EXPECT_TRUE(is_sound(heap));
  for (const Block& block : blocks) heap.deallocate(block.in(arena));
  EXPECT_EQ(heap.stats().live_blocks, 0u);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, gives_back_what_it_was_given) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  void* const first = heap.allocate(100);
  heap.deallocate(first);
  EXPECT_EQ(heap.allocate(100), first);
}

TEST(Heap, gives_distinct_blocks_of_no_bytes) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  void* const first = heap.allocate(0);
  void* const second = heap.allocate(0);
  EXPECT_NE(first, second);
  EXPECT_NE(first, nullptr);
  heap.deallocate(nullptr);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, aligns_blocks_up_to_a_page_and_beyond) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  for (std::size_t alignment = 1; alignment <= 2 * mib; alignment *= 2) {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{24}, std::size_t{700}, std::size_t{9'000}, mib + 1}) {
      void* const block = heap.allocate(bytes, alignment);
      EXPECT_TRUE(is_aligned(block, alignment)) << bytes << " bytes at " << alignment;
      EXPECT_GE(heap.usable_size(block), bytes);
      std::memset(block, 1, bytes);
      if (alignment % 3 == 1) heap.deallocate(block);
    }
  }
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, refuses_alignments_that_are_no_power_of_two) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  EXPECT_THROW((void)heap.allocate(16, 0), std::invalid_argument);
  EXPECT_THROW((void)heap.allocate(16, 48), std::invalid_argument);
  EXPECT_EQ(heap.try_allocate(16, 48), nullptr);
}

TEST(Heap, tells_usable_sizes_and_foretells_them) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  for (std::size_t bytes = 0; bytes < 200'000; bytes += 1 + bytes / 9) {
    void* const block = heap.allocate(bytes);
    EXPECT_GE(heap.usable_size(block), bytes);
    EXPECT_EQ(heap.usable_size(block), Heap::rounded_size(bytes));
  }
  EXPECT_EQ(Heap::rounded_size(Heap::rounded_size(1000)), Heap::rounded_size(1000));
  EXPECT_GE(Heap::rounded_size(SIZE_MAX), SIZE_MAX);
  EXPECT_EQ(heap.usable_size(nullptr), 0u);
}

TEST(Heap, resizes_blocks_and_keeps_their_content) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  Random random(seed_or(7));
  std::vector<Block> blocks;
  for (int i = 0; i < 64; ++i) blocks.push_back(allocate_block(heap, arena, 1 + random.below(300), 0));
  for (int step = 0; step < 4'000; ++step) {
    Block& block = blocks[random.below(blocks.size())];
    const std::size_t bytes = 1 + random.below(std::size_t{1} << random.below(18));
    auto* const at = static_cast<std::byte*>(heap.reallocate(block.in(arena), bytes));
    block.offset = static_cast<std::size_t>(at - arena.data());
    block.bytes = std::min(block.bytes, bytes);
    ASSERT_TRUE(holds(arena, block)) << "step " << step;
    block = {block.offset, bytes, static_cast<std::uint8_t>(step)};
    std::memset(at, block.value, bytes);
  }
  EXPECT_TRUE(holds_all(arena, blocks));
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, resizes_large_blocks_in_place_where_there_is_room) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  void* const block = heap.allocate(mib);
  EXPECT_EQ(heap.reallocate(block, 2 * mib), block);  // into what was never used
  EXPECT_EQ(heap.reallocate(block, mib / 2), block);
  void* const next = heap.allocate(mib);
  void* const last = heap.allocate(mib);
  heap.deallocate(next);
  EXPECT_EQ(heap.reallocate(block, mib), block);  // into a part of a free run
  EXPECT_EQ(heap.usable_size(block), mib);
  EXPECT_TRUE(is_sound(heap));
  EXPECT_EQ(heap.reallocate(last, 50 * mib), last);
  heap.deallocate(last);
  heap.deallocate(block);
  EXPECT_EQ(heap.stats().live_bytes, 0u);
}

TEST(Heap, reallocates_nothing_to_a_new_block_and_refuses_what_is_no_block) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  void* const block = heap.reallocate(nullptr, 50);
  EXPECT_EQ(heap.usable_size(block), Heap::rounded_size(50));
  EXPECT_THROW((void)heap.reallocate(arena.data(), 50), std::invalid_argument);
  heap.deallocate(block);
  EXPECT_THROW((void)heap.reallocate(block, 50), std::invalid_argument);
}

TEST(Heap, throws_bad_alloc_when_full_and_goes_on_when_blocks_come_back) {
  for (const std::size_t bytes : {16u, 200u, 3'000u, 8'192u, 50'000u}) {
    Arena arena = arena_of(2 * mib);
    Heap heap(arena);
    std::vector<Block> blocks;
    std::uint8_t value = 0;
    try {
      for (;;) blocks.push_back(allocate_block(heap, arena, bytes, ++value));
    } catch (const std::bad_alloc&) {
    }
    EXPECT_GT(blocks.size() * bytes, 2 * mib * 85 / 100) << bytes;
    EXPECT_EQ(heap.try_allocate(bytes), nullptr);
    EXPECT_TRUE(is_sound(heap));
    EXPECT_TRUE(holds_all(arena, blocks));
    heap.deallocate(blocks[blocks.size() / 2].in(arena));
    EXPECT_EQ(heap.allocate(bytes), blocks[blocks.size() / 2].in(arena));
    for (const Block& block : blocks) heap.deallocate(block.in(arena));
    EXPECT_NE(heap.try_allocate(mib), nullptr) << "free memory of " << bytes << " bytes must serve other sizes";
    EXPECT_TRUE(is_sound(heap));
  }
}

TEST(Heap, leaves_a_block_alone_that_cannot_grow) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  const Block block = allocate_block(heap, arena, 300'000, 9);
  EXPECT_THROW((void)heap.reallocate(block.in(arena), 2 * mib), std::bad_alloc);
  EXPECT_THROW((void)heap.reallocate(block.in(arena), SIZE_MAX), std::bad_alloc);
  EXPECT_TRUE(holds(arena, block));
  EXPECT_GE(heap.usable_size(block.in(arena)), 300'000u);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, throws_bad_alloc_for_sizes_that_can_never_be) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  for (const std::size_t bytes : {mib, SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2}) {
    EXPECT_THROW((void)heap.allocate(bytes), std::bad_alloc) << bytes;
  }
  EXPECT_THROW((void)heap.allocate(16, std::size_t{1} << 63), std::bad_alloc);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, constructs_and_destroys_objects) {
  struct Counted {
    explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
    virtual ~Counted() { --*alive_; }
    int* alive_;
  };
  struct Wide {
    virtual ~Wide() = default;
    long unused = 0;
  };
  struct Both : Wide, Counted {
    explicit Both(int& alive) : Counted(alive) {}
  };
  struct Throwing {
    Throwing() { throw std::runtime_error("no"); }
  };
  Arena arena = arena_of(mib);
  Heap heap(arena);
  int alive = 0;
  Counted* const base_inside_the_block = heap.create<Both>(alive);
  EXPECT_EQ(alive, 1);
  heap.destroy(base_inside_the_block);
  heap.destroy(static_cast<Counted*>(nullptr));
  heap.destroy(heap.create<const int>(1));
  EXPECT_EQ(alive, 0);
  EXPECT_THROW((void)heap.create<Throwing>(), std::runtime_error);
  EXPECT_EQ(heap.stats().live_blocks, 0u);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Heap, in_a_terabyte_costs_little_until_it_is_used) {
  if (test::under_tsan) GTEST_SKIP() << "ThreadSanitizer leaves no terabyte of addresses in one piece";
  Arena arena = arena_of(std::size_t{1} << 40);
  Heap heap(arena);
  void* const block = heap.allocate(1000);
  void* const huge = heap.allocate(std::size_t{900} << 30);
  std::memset(block, 1, 1000);
  EXPECT_LT(arena.stats().pages_private, 64u);
  EXPECT_TRUE(is_sound(heap));
  heap.deallocate(huge);
  heap.deallocate(block);
  EXPECT_LT(arena.stats().pages_private, 64u);
}

}  // namespace
}  // namespace cow::test

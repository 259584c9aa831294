// Promise: content from elsewhere is refused whose heap has other things than the arena where pages are excluded: a heap
// where the arena has none, another block in the same place.
#include <algorithm>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t block_pages = 10;

class ExcludedFromOtherHeaps : public BarrierTest {
 protected:
  static std::byte* allocate(Heap& heap, unsigned char value) {
    auto* const block = static_cast<std::byte*>(heap.allocate(block_pages * page_size(), page_size()));
    std::fill_n(block, block_pages * page_size(), std::byte{value});
    return block;
  }
  static void exclude_inside(Arena& arena, std::byte* block) { arena.exclude(block + 2 * page_size(), page_size()); }
  static bool is_whole(const std::byte* block, unsigned char value) {
    return std::all_of(block, block + block_pages * page_size(), [&](std::byte b) { return b == std::byte{value}; });
  }
  /// Another block where one was, as the heap gives places out again.
  static std::byte* replace(Heap& heap, std::byte* block, unsigned char value) {
    heap.deallocate(block);
    heap.trim();
    return allocate(heap, value);
  }
  static std::byte* at(const Arena& arena, std::size_t offset) { return const_cast<std::byte*>(arena.data()) + offset; }
  static std::size_t offset_in(const Arena& arena, const std::byte* block) {
    return static_cast<std::size_t>(block - arena.data());
  }
};
COW_FOR_EVERY_BARRIER(ExcludedFromOtherHeaps);

TEST_P(ExcludedFromOtherHeaps, excluded_while_there_was_none_keep_heaps_from_being_gone_back_to) {
  Arena arena = make_arena(2048);
  const Snapshot none = arena.snapshot();
  Heap heap(arena);
  const Snapshot empty = arena.snapshot();
  std::byte* const block = allocate(heap, 7);
  const Snapshot with = arena.snapshot();
  arena.rollback(none);
  exclude_inside(arena, block);
  std::fill_n(block + 2 * page_size(), page_size(), std::byte{3});
  for (const Snapshot* version : {&with, &empty}) {
    const auto refused = throws_exactly<std::logic_error>([&] { arena.rollback(*version); });
    EXPECT_TRUE(refused);
    EXPECT_NE(std::string(refused.message()).find("only while the arena holds it"), std::string::npos);
    EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.adopt(*version); }));
  }
  put_mark(arena, 1000, 5);
  arena.rollback(none);
  EXPECT_EQ(mark_of(arena, 1000), 0U) << "where no heap is before and after there is nothing to refuse";
  EXPECT_EQ(block[2 * page_size()], std::byte{3});
  Arena clone = with.clone();
  EXPECT_TRUE(is_whole(at(clone, offset_in(arena, block)), 7)) << "the remedy";
}

TEST_P(ExcludedFromOtherHeaps, keep_a_heap_that_a_clone_has_made_from_being_taken) {
  Arena arena = make_arena(2048);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  Heap in_clone(clone);
  std::byte* const block = allocate(in_clone, 7);
  exclude_inside(arena, at(arena, offset_in(clone, block)));
  const Snapshot theirs = clone.snapshot();
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.adopt(theirs); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)merge(arena, base, theirs); }));
  EXPECT_EQ(arena.data()[0], std::byte{0}) << "nothing has changed";
}

TEST_P(ExcludedFromOtherHeaps, keep_versions_with_another_block_in_the_place_from_being_gone_back_to) {
  Arena arena = make_arena(2048);
  Heap heap(arena);
  std::byte* const block = allocate(heap, 7);
  const Snapshot before = arena.snapshot();
  std::byte* const other = replace(heap, block, 8);
  ASSERT_EQ(other, block);
  exclude_inside(arena, other);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.rollback(before); }));
  EXPECT_TRUE(is_whole(other, 8));
  arena.rollback(arena.snapshot());
  Arena clone = before.clone();
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.adopt(clone.snapshot()); }));
}

TEST_P(ExcludedFromOtherHeaps, keep_a_clones_block_in_the_same_place_from_being_taken) {
  Arena arena = make_arena(2048);
  Heap heap(arena);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  Heap in_clone(clone);
  std::byte* const theirs = allocate(in_clone, 8);
  std::byte* const block = allocate(heap, 7);
  ASSERT_EQ(offset_in(clone, theirs), offset_in(arena, block));
  exclude_inside(arena, block);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.adopt(clone.snapshot()); }));
  EXPECT_TRUE(is_whole(block, 7));
}

TEST_P(ExcludedFromOtherHeaps, keep_what_a_clone_put_in_their_blocks_place_from_being_merged) {
  Arena arena = make_arena(2048);
  Heap heap(arena);
  std::byte* const block = allocate(heap, 7);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  Heap in_clone(clone);
  exclude_inside(arena, block);
  ASSERT_EQ(replace(in_clone, at(clone, offset_in(arena, block)), 8), at(clone, offset_in(arena, block)));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)merge(arena, base, clone.snapshot()); }));
  EXPECT_TRUE(is_whole(block, 7));
}

TEST_P(ExcludedFromOtherHeaps, are_not_made_in_a_transaction_that_brings_a_heap_back) {
  Arena arena = make_arena(2048);
  const Snapshot none = arena.snapshot();
  Heap heap(arena);
  std::byte* const block = allocate(heap, 7);
  {
    const Transaction transaction(arena);
    arena.adopt(none);
    EXPECT_TRUE(throws_exactly<std::logic_error>([&] { exclude_inside(arena, block); }));
  }
  EXPECT_TRUE(is_whole(block, 7));
}

TEST_P(ExcludedFromOtherHeaps, tell_blocks_apart_that_grew_or_shrank_from_others) {
  Arena arena = make_arena(2048);
  Heap heap(arena);
  std::byte* const block = allocate(heap, 7);
  const Snapshot before = arena.snapshot();
  ASSERT_EQ(heap.reallocate(block, 12 * page_size()), block);
  exclude_inside(arena, block);
  arena.rollback(before);
  EXPECT_EQ(heap.usable_size(block), block_pages * page_size());
  EXPECT_TRUE(is_whole(block, 7));
  EXPECT_TRUE(heap.check().problems.empty());
}

}  // namespace
}  // namespace cow::test

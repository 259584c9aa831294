// Promise: a heap never gives out pages of its arena that are excluded: it keeps the block that they lie in, and a
// version that has no such block is not gone back to.
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

constexpr std::size_t block_pages = 8;

class ExcludedInHeap : public BarrierTest {
 protected:
  ExcludedInHeap() : arena(make_arena(2048)), heap(arena), before(arena.snapshot()) {}

  std::byte* allocate() { return static_cast<std::byte*>(heap.allocate(block_pages * page_size(), page_size())); }

  /// Pages 2 to 5 of a block.
  std::byte* allocate_and_exclude() {
    std::byte* const block = allocate();
    arena.exclude(block + 2 * page_size(), 4 * page_size());
    std::fill_n(block, block_pages * page_size(), std::byte{7});
    return block;
  }

  /// All that can be allocated is apart from the block, and zero where asked for.
  void expect_kept(const std::byte* block) {
    const std::size_t bytes = block_pages * page_size();
    const auto all = [](const std::byte* begin, const std::byte* end, unsigned char value) {
      return std::all_of(begin, end, [&](std::byte b) { return b == std::byte{value}; });
    };
    EXPECT_TRUE(heap.check().problems.empty());
    for (int i = 0; i < 100; ++i) {
      const auto* const other = static_cast<std::byte*>(heap.try_allocate_zeroed(bytes, page_size()));
      if (other == nullptr) break;
      EXPECT_TRUE(other + bytes <= block || other >= block + bytes);
      EXPECT_TRUE(all(other, other + bytes, 0));
    }
    EXPECT_TRUE(all(block + 2 * page_size(), block + 6 * page_size(), 7));
  }

  Arena arena;
  Heap heap;
  Snapshot before;
};
COW_FOR_EVERY_BARRIER(ExcludedInHeap);

TEST_P(ExcludedInHeap, keep_versions_without_their_block_from_being_gone_back_to) {
  const std::byte* const block = allocate_and_exclude();
  const Snapshot with = arena.snapshot();
  const auto refused = throws_exactly<std::logic_error>([&] { arena.rollback(before); });
  EXPECT_TRUE(refused);
  EXPECT_NE(std::string(refused.message()).find("from after that block was allocated"), std::string::npos);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.adopt(before); }));
  Arena clone = before.clone();
  Heap in_clone(clone);
  (void)in_clone.allocate(3 * page_size());
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.adopt(clone.snapshot()); }));
  EXPECT_EQ(block[0], std::byte{7}) << "nothing has changed";
  arena.rollback(with);
  expect_kept(block);
}

TEST_P(ExcludedInHeap, say_how_large_a_block_must_be_to_have_them) {
  if (page_size() > 8192) GTEST_SKIP() << "here a block of a page is large";
  void* const small = heap.allocate(page_size(), page_size());
  const auto refused = throws_exactly<std::logic_error>([&] { arena.exclude(small, page_size()); });
  EXPECT_TRUE(refused);
  EXPECT_NE(std::string(refused.message()).find("of more than 8 KiB"), std::string::npos) << refused.message();
  arena.exclude(heap.allocate(8193, page_size()), page_size());
  EXPECT_EQ(arena.stats().pages_excluded, 1U);
}

TEST_P(ExcludedInHeap, let_versions_with_their_block_be_gone_back_to) {
  std::byte* const block = allocate();
  const Snapshot with = arena.snapshot();
  arena.exclude(block + 2 * page_size(), 4 * page_size());
  std::fill_n(block + 2 * page_size(), 4 * page_size(), std::byte{7});
  (void)heap.allocate(5 * page_size());
  Arena clone = with.clone();
  clone.at(arena, block)[0] = std::byte{3};
  arena.adopt(clone.snapshot());
  EXPECT_EQ(block[0], std::byte{3});
  arena.rollback(with);
  EXPECT_EQ(block[0], std::byte{0});
  expect_kept(block);
}

TEST_P(ExcludedInHeap, keep_their_block_from_being_freed_by_a_merge) {
  std::byte* const block = allocate();
  void* const small = heap.allocate(100);
  const Snapshot base = arena.snapshot();
  Arena frees = base.clone(), writes = base.clone(), allocates = base.clone();
  arena.exclude(block + 2 * page_size(), 4 * page_size());
  std::fill_n(block, block_pages * page_size(), std::byte{7});
  Heap(frees).deallocate(frees.at(arena, block));
  const Picture before_merge(1, mark_of(block));
  const auto refused = throws_exactly<std::logic_error>([&] { (void)merge(arena, base, frees.snapshot()); });
  EXPECT_TRUE(refused);
  EXPECT_NE(std::string(refused.message()).find("excludes pages"), std::string::npos) << refused.message();
  EXPECT_EQ(mark_of(block), before_merge[0]) << "nothing has changed";
  *static_cast<std::byte*>(writes.at(arena, small)) = std::byte{5};
  EXPECT_EQ(merge(arena, base, writes.snapshot()).bytes_changed, 1U) << "its books are as they were";
  (void)Heap(allocates).allocate(4 * page_size());
  EXPECT_GT(merge(arena, base, allocates.snapshot()).pages_taken, 0U) << "it has the block";
  expect_kept(block);
}

TEST_P(ExcludedInHeap, keep_a_heap_without_their_block_from_being_merged) {
  const std::byte* const block = allocate_and_exclude();
  Arena clone = before.clone();
  (void)Heap(clone).allocate(3 * page_size());
  const Snapshot theirs = clone.snapshot();
  MergeOptions options;
  options.regions = {{0, 64 * page_size(), MergeRule::take_theirs}};  // all of the books
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)merge(arena, before, theirs, options); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)merge(arena, before, theirs); }));
  Arena idle = before.clone();
  (void)merge(arena, before, idle.snapshot());
  expect_kept(block);
}

TEST_P(ExcludedInHeap, are_inherited_by_clones_with_all_that) {
  const std::byte* const block = allocate_and_exclude();
  Arena clone = arena.clone();
  Heap in_clone(clone);
  void* const mine = clone.at(arena, const_cast<std::byte*>(block));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { clone.adopt(before); }));
  in_clone.deallocate(mine);
  EXPECT_EQ(in_clone.stats().refused_frees, 1U);
}

TEST_P(ExcludedInHeap, are_not_made_while_a_transaction_is_open) {
  const std::byte* block = nullptr;
  {
    const Transaction transaction(arena);
    std::byte* const inside = allocate();
    EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.exclude(inside, page_size()); }));
  }
  EXPECT_EQ(arena.stats().pages_excluded, 0U);
  block = allocate_and_exclude();
  { const Transaction transaction(arena); }
  expect_kept(block);
}

TEST_P(ExcludedInHeap, keep_their_block_from_being_freed_moved_or_cut) {
  std::byte* const block = allocate_and_exclude();
  void* const wall = heap.allocate(page_size(), page_size());
  heap.deallocate(block);
  EXPECT_EQ(heap.stats().refused_frees, 1U);
  EXPECT_EQ(heap.check().last_refused, block);
  EXPECT_EQ(heap.reallocate(block, 3 * page_size()), block) << "smaller, at its place";
  EXPECT_EQ(heap.usable_size(block), block_pages * page_size());
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)heap.reallocate(block, 100); }));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)heap.reallocate(block, 100 * page_size()); }));
  EXPECT_EQ(heap.try_reallocate(block, 100 * page_size()), nullptr);
  EXPECT_EQ(heap.reallocate(block, 7 * page_size()), block) << "what is behind them may go";
  EXPECT_EQ(heap.usable_size(block), 7 * page_size());
  heap.deallocate(wall);
  EXPECT_TRUE(heap.check().problems.empty());
}

}  // namespace
}  // namespace cow::test

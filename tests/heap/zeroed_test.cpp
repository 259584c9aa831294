// Promise: zeroed memory is zero whatever became of it before, and is not written where it is known to be; what does
// not throw leaves everything as it was.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

bool is_zero(const void* block, std::size_t bytes) {
  const auto* const at = static_cast<const std::byte*>(block);
  return std::all_of(at, at + bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

void make_dirty(void* block, std::size_t bytes) { std::memset(block, 0x5a, bytes); }

TEST(Zeroed, memory_never_used_takes_none_until_it_is_written) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  const auto before = arena.stats().pages_private;
  void* const block = heap.allocate_zeroed(32 * mib);
  EXPECT_LT((arena.stats().pages_private - before) * page_size(), mib);
  EXPECT_TRUE(is_zero(block, 32 * mib));
}

TEST(Zeroed, memory_that_was_given_back_is_not_written_and_zero) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena, {.keep_free_bytes = 0});
  void* block = heap.allocate(8 * mib);
  make_dirty(block, 8 * mib);
  heap.deallocate(block);
  const auto before = arena.stats().pages_private;
  block = heap.allocate_zeroed(8 * mib);
  EXPECT_LT((arena.stats().pages_private - before) * page_size(), mib);
  EXPECT_TRUE(is_zero(block, 8 * mib));
}

TEST(Zeroed, is_zero_whatever_happened_before) {
  const std::uint64_t seed = seed_or(1);
  SCOPED_TRACE(testing::Message() << "COW_SEED=" << seed);
  Random random(seed);
  Arena arena = arena_of(2 * mib);  // often full, so that protected memory is used again
  Heap heap(arena);
  std::vector<std::pair<void*, std::size_t>> live;
  std::vector<std::pair<Snapshot, decltype(live)>> taken;
  for (int step = 0; step < 4'000; ++step) {
    const std::size_t what = random.below(100);
    if (what < 50) {
      const std::size_t bytes = random.below(4) == 0 ? random.below(300'000) : random.below(20'000);
      void* const block = heap.try_allocate_zeroed(bytes, std::size_t{16} << random.below(12));
      if (block == nullptr) continue;
      ASSERT_TRUE(is_zero(block, bytes)) << "step " << step << ", " << bytes << " bytes";
      make_dirty(block, heap.usable_size(block));
      live.emplace_back(block, bytes);
    } else if (what < 90 && !live.empty()) {
      std::swap(live[random.below(live.size())], live.back());
      heap.deallocate(live.back().first);
      live.pop_back();
    } else if (what == 90) {
      heap.trim();
    } else if (what < 98) {
      taken.emplace_back(arena.snapshot(), live);
      if (taken.size() > 3) taken.erase(taken.begin());
    } else if (what == 98 && !taken.empty()) {
      const auto& [snapshot, then] = taken[random.below(taken.size())];
      arena.rollback(snapshot);
      live = then;
    }
  }
  EXPECT_TRUE(is_sound(heap));
}

TEST(Zeroed, is_zero_in_a_clone_that_goes_on_alone) {
  Arena arena = arena_of(8 * mib);
  Heap heap(arena);
  void* const block = heap.allocate(2 * mib);
  make_dirty(block, 2 * mib);
  heap.deallocate(block);
  Arena clone = arena.clone();
  Heap in_clone(clone);
  EXPECT_TRUE(is_zero(in_clone.allocate_zeroed(2 * mib), 2 * mib));
  EXPECT_TRUE(is_zero(heap.allocate_zeroed(3 * mib), 3 * mib));
}

TEST(Zeroed, is_aligned_as_asked_and_refuses_as_allocate_does) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  void* const block = heap.allocate_zeroed(100, 4096);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 4096, 0u);
  EXPECT_THROW((void)heap.allocate_zeroed(100, 3), std::invalid_argument);
  EXPECT_THROW((void)heap.allocate_zeroed(2 * mib), HeapFull);
  EXPECT_EQ(heap.try_allocate_zeroed(100, 3), nullptr);
  EXPECT_EQ(heap.try_allocate_zeroed(2 * mib), nullptr);
  EXPECT_TRUE(is_sound(heap));
}

TEST(TryReallocate, leaves_everything_alone_where_it_cannot) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  static_assert(noexcept(heap.try_reallocate(nullptr, 1)));
  void* const block = heap.try_reallocate(nullptr, 100);
  ASSERT_NE(block, nullptr);
  make_dirty(block, 100);
  const HeapStats before = heap.stats();
  EXPECT_EQ(heap.try_reallocate(block, 2 * mib), nullptr);
  EXPECT_EQ(heap.try_reallocate(block, std::numeric_limits<std::size_t>::max()), nullptr);
  EXPECT_EQ(heap.try_reallocate(static_cast<std::byte*>(block) + 1, 200), nullptr);
  int outside = 0;
  EXPECT_EQ(heap.try_reallocate(&outside, 200), nullptr);
  EXPECT_EQ(heap.stats().live_bytes, before.live_bytes);
  EXPECT_EQ(static_cast<const unsigned char*>(block)[99], 0x5a);
  void* const moved = heap.try_reallocate(block, 100'000);
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(static_cast<const unsigned char*>(moved)[99], 0x5a);
  EXPECT_TRUE(is_sound(heap));
}

}  // namespace
}  // namespace cow::test

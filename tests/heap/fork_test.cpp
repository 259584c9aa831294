// Promise: after fork() the child's copy of the arena has a whole heap, in which handles and containers go on working.
#include <atomic>
#include <boost/container/map.hpp>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"
#include "support/child.hpp"

namespace cow::test {
namespace {

using Map = boost::container::map<int, int, std::less<int>, Allocator<std::pair<const int, int>>>;

int use(Heap& heap, Map& map) {
  std::vector<void*> blocks;
  for (int i = 0; i < 3'000; ++i) {
    map[i] = -i;
    blocks.push_back(heap.allocate(static_cast<std::size_t>(i) * 7));
    std::memset(blocks.back(), 1, static_cast<std::size_t>(i) * 7);
  }
  for (void* const block : blocks) heap.deallocate(block);
  if (map.size() != 3'000 || map[2'999] != -2'999) return 2;
  return heap.check().ok() ? 0 : 3;
}

TEST(Fork, leaves_the_child_a_heap_of_its_own) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  Map& map = *heap.create<Map>(Allocator<int>(heap));
  for (int i = 0; i < 1'000; ++i) map[i] = i;
  const ChildResult child = run_forked([&] { return use(heap, map); });
  EXPECT_TRUE(child.exited_with(0)) << child.how();
  EXPECT_EQ(map.size(), 1'000u);
  EXPECT_EQ(map[999], 999);
  EXPECT_EQ(use(heap, map), 0);
}

TEST(Fork, never_takes_along_what_another_thread_left_half_done) {
  // AddressSanitizer's allocator takes its locks along into the child as they are, and these threads allocate.
  if (under_sanitizer) GTEST_SKIP() << "sanitizers have locks of their own over a fork()";
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  Map& map = *heap.create<Map>(Allocator<int>(heap));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      Heap mine(arena);
      for (std::size_t i = 0; !stop; ++i) {
        mine.deallocate(mine.allocate(1 + (i * 37 + static_cast<std::size_t>(t)) % 20'000));
        if (i % 16 == 0) {  // attaching and going away, which the registry must survive
          Arena other = arena_of(mib);
          const Heap passing(other);
        }
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    const ChildResult child = run_forked([&] { return use(heap, map); });
    EXPECT_TRUE(child.exited_with(0)) << child.how();
    if (HasFailure()) break;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(is_sound(heap));
}

}  // namespace
}  // namespace cow::test

// Promise: std::pmr containers live in the arena and go back with it.
#include <memory_resource>
#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

TEST(MemoryResource, serves_standard_containers_through_rollbacks) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  MemoryResource resource(heap);
  using Map = std::pmr::unordered_map<int, std::pmr::string>;
  Map& map = *heap.create<Map>(&resource);
  for (int i = 0; i < 1'000; ++i) map.emplace(i, std::pmr::string(static_cast<std::size_t>(i) % 50, 'a', &resource));
  EXPECT_TRUE(arena.contains(&*map.find(7)));
  const Map copy(map, std::pmr::new_delete_resource());
  const Snapshot snapshot = arena.snapshot();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 1'000; i += 2) map.erase(i);
    for (int i = 5'000; i < 9'000; ++i) map.emplace(i, std::pmr::string(200, 'b', &resource));
    arena.rollback(snapshot);
    EXPECT_EQ(map.size(), copy.size());
    for (const auto& [key, text] : copy) EXPECT_EQ(map.at(key), text);
    EXPECT_TRUE(is_sound(heap));
  }
  heap.destroy(&map);
  EXPECT_EQ(heap.stats().live_blocks, 0u);
}

TEST(MemoryResource, aligns_and_reports_a_full_arena) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  MemoryResource resource(heap);
  void* const block = resource.allocate(100, 256);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 256, 0u);
  EXPECT_THROW((void)resource.allocate(2 * mib), std::bad_alloc);
  resource.deallocate(block, 100, 256);
  EXPECT_EQ(heap.stats().live_blocks, 0u);
}

TEST(MemoryResource, equals_those_of_the_same_heap) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Arena other_arena = arena_of(mib);
  Heap other_heap(other_arena);
  const MemoryResource first(heap), second(heap), other(other_heap);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
  EXPECT_NE(static_cast<const std::pmr::memory_resource&>(first), *std::pmr::new_delete_resource());
}

}  // namespace
}  // namespace cow::test

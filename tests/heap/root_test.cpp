// Promise: the root never leads to an object that was destroyed.
#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

struct Pair {
  int first = 1, second = 2;
};
struct Base {
  virtual ~Base() = default;
  long first = 0;
};
struct Other {
  virtual ~Other() = default;
  long second = 0;
};
struct Derived : Base, Other {};

TEST(Root, is_cleared_when_its_object_is_destroyed) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Pair* const pair = heap.create<Pair>();
  heap.set_root(pair);
  heap.destroy(pair);
  EXPECT_EQ(heap.root<Pair>(), nullptr);
  EXPECT_EQ(heap.root<int>(), nullptr) << "no type is left either";
  EXPECT_TRUE(is_sound(heap));
}

TEST(Root, in_a_part_of_the_destroyed_object_is_cleared) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Pair* const pair = heap.create<Pair>();
  heap.set_root(&pair->second);
  heap.destroy(pair);
  EXPECT_EQ(heap.root<int>(), nullptr);
  Derived* const derived = heap.create<Derived>();
  heap.set_root(static_cast<Other*>(derived));
  heap.destroy(static_cast<Other*>(derived));
  EXPECT_EQ(heap.root<Other>(), nullptr);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Root, stays_when_other_objects_are_destroyed) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Pair* const before = heap.create<Pair>();
  Pair* const root = heap.create<Pair>();
  Pair* const behind = heap.create<Pair>();
  heap.set_root(root);
  heap.destroy(before);
  heap.destroy(behind);
  EXPECT_EQ(heap.root<Pair>(), root);
  heap.destroy(root);
}

TEST(Root, whose_block_was_freed_is_named) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  void* const block = heap.allocate(100'000);
  heap.set_root(block);
  heap.deallocate(block);
  EXPECT_NE(text_of(heap.check()).find("the root"), std::string::npos);
}

}  // namespace
}  // namespace cow::test

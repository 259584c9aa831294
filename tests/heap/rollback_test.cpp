// Promise: a rollback allocates nothing while it holds the heap's locks: the heap may be what serves operator new.
#include <cstddef>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "heap_support.hpp"

#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // gcc 12 takes the replacements below for strangers

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const block = std::malloc(bytes == 0 ? 1 : bytes)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace cow::test {
namespace {

std::size_t allocations_of_rollback(Arena& arena, const Snapshot& snapshot) {
  const std::size_t before = allocations;
  arena.rollback(snapshot);
  return allocations - before;
}

TEST(Rollback, allocates_nothing_by_operator_new) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  Heap in_clone(clone);
  heap.deallocate(heap.allocate(100));
  EXPECT_EQ(allocations_of_rollback(arena, base), 0U);
  (void)in_clone.allocate(100);
  EXPECT_EQ(allocations_of_rollback(clone, base), 0U) << "to the base of a clone";
  EXPECT_TRUE(is_sound(in_clone));
}

}  // namespace
}  // namespace cow::test

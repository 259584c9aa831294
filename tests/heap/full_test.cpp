// Promise: whoever asks a full arena for memory learns which arena it is, how large, and that it stays so.
#include <memory_resource>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

class FullHeap : public testing::Test {
 protected:
  template <class F>
  void expect_named(std::size_t requested, F&& ask) {
    try {
      ask();
      ADD_FAILURE() << "there was room";
    } catch (const HeapFull& full) {
      const std::string text = full.what();
      for (const std::string& part :
           {std::string("\"heap-test\""), std::to_string(arena_.capacity()), std::to_string(requested), std::string("fixed")}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
      }
      EXPECT_EQ(full.capacity(), arena_.capacity());
      EXPECT_EQ(full.requested(), requested);
    }
  }

  Arena arena_ = arena_of(mib);
  Heap heap_{arena_};
};

TEST_F(FullHeap, says_so_from_all_that_allocate) {
  expect_named(2 * mib, [&] { (void)heap_.allocate(2 * mib); });
  expect_named(3 * mib, [&] { (void)heap_.reallocate(heap_.allocate(100), 3 * mib); });
  expect_named(4 * mib, [&] { std::vector<char, Allocator<char>> text(4 * mib, Allocator<char>(heap_)); });
  MemoryResource resource(heap_);
  expect_named(5 * mib, [&] { std::pmr::vector<char> text(5 * mib, &resource); });
  EXPECT_TRUE(is_sound(heap_));
}

TEST_F(FullHeap, is_a_bad_alloc_as_any) {
  EXPECT_THROW((void)heap_.allocate(2 * mib), std::bad_alloc);
  std::vector<void*> blocks;
  while (void* const block = heap_.try_allocate(5'000)) blocks.push_back(block);
  expect_named(5'000, [&] { (void)heap_.allocate(5'000); });
  heap_.deallocate(blocks.back());
  EXPECT_NE(heap_.allocate(5'000), nullptr);
}

}  // namespace
}  // namespace cow::test

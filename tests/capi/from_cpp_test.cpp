// Promise: the C interface is usable from C++, beside the C++ one, and no exception of a callback crosses it.
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <gtest/gtest.h>

#include "cow/cow.h"
#include "cow/cow.hpp"

namespace cow::test {
namespace {

TEST(FromCpp, the_c_interface_is_usable) {
  cow_arena_options options;
  cow_arena_options_init(&options);
  options.capacity = 64 * page_size();
  cow_arena* arena = nullptr;
  ASSERT_EQ(cow_arena_open(&options, &arena), 0);
  static_assert(noexcept(cow_arena_close(arena)));
  cow_snapshot* snapshot = nullptr;
  ASSERT_EQ(cow_arena_snapshot(arena, &snapshot), 0);
  static_cast<char*>(cow_arena_data(arena))[0] = 1;
  ASSERT_EQ(cow_arena_rollback(arena, snapshot), 0);
  EXPECT_EQ(static_cast<char*>(cow_arena_data(arena))[0], 0);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(FromCpp, what_a_callback_throws_becomes_an_error) {
  cow_arena* arena = nullptr;
  ASSERT_EQ(cow_arena_open(nullptr, &arena), 0);
  std::int64_t result = 7;
  const auto throws = [](void*) -> std::int64_t { throw std::runtime_error("the callback's own"); };
  EXPECT_EQ(cow_arena_retry_on_efault(arena, cow_arena_data(arena), 1, throws, nullptr, &result), -EIO);
  EXPECT_NE(std::strstr(cow_last_error(), "the callback's own"), nullptr);
  const auto throws_a_number = [](void*) -> std::int64_t { throw 5; };
  EXPECT_EQ(cow_arena_retry_on_efault(arena, cow_arena_data(arena), 1, throws_a_number, nullptr, &result), -EIO);
  EXPECT_EQ(result, 7);
  cow_arena_close(arena);
}

TEST(FromCpp, the_usual_options_are_those_of_cpp) {
  cow_arena_options options;
  cow_arena_options_init(&options);
  const ArenaOptions usual;
  EXPECT_EQ(options.capacity, usual.capacity);
  EXPECT_EQ(options.address, usual.address);
  EXPECT_EQ(options.barrier, static_cast<int>(usual.barrier));
  EXPECT_EQ(options.single_writer != 0, usual.single_writer);
  EXPECT_EQ(options.quiet_cuts != 0, usual.quiet_cuts);
  EXPECT_EQ(options.gate, nullptr);
  EXPECT_EQ(options.in_core_dumps != 0, usual.in_core_dumps);
  EXPECT_EQ(options.reserve_history_bytes, usual.reserve_history_bytes);
  cow_heap_options heap;
  cow_heap_options_init(&heap);
  EXPECT_EQ(heap.keep_free_bytes, HeapOptions().keep_free_bytes);
}

}  // namespace
}  // namespace cow::test

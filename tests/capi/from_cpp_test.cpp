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

TEST(FromCpp, the_usual_options_of_saving_and_loading_are_those_of_cpp) {
  cow_save_options save;
  cow_save_options_init(&save);
  const SaveOptions usual_save;
  EXPECT_EQ(save.size, sizeof save);
  EXPECT_EQ(save.since != nullptr, static_cast<bool>(usual_save.since));
  EXPECT_EQ(save.base != nullptr, !usual_save.base.empty());
  EXPECT_EQ(save.compression, static_cast<int>(usual_save.compression));
  EXPECT_EQ(save.level, usual_save.level);
  EXPECT_EQ(save.sync != 0, usual_save.sync);
  EXPECT_EQ(save.note != nullptr, !usual_save.note.empty());
  EXPECT_EQ(save.progress != nullptr, static_cast<bool>(usual_save.progress));
  EXPECT_TRUE(save.context == nullptr && save.report == nullptr && save.reserved == 0);
  cow_load_options load;
  cow_load_options_init(&load);
  const LoadOptions usual_load;
  EXPECT_EQ(load.size, sizeof load);
  EXPECT_EQ(load.layers != nullptr, !usual_load.layers.empty());
  EXPECT_EQ(load.layer_count, usual_load.layers.size());
  EXPECT_EQ(load.at_saved_address != 0, usual_load.at_saved_address);
  EXPECT_EQ(load.address, usual_load.address);
  EXPECT_EQ(load.capacity, usual_load.capacity);
  EXPECT_EQ(load.lazy != 0, usual_load.lazy);
  EXPECT_EQ(load.barrier, static_cast<int>(usual_load.barrier));
  EXPECT_EQ(load.name != nullptr, !usual_load.name.empty());
  EXPECT_EQ(load.quiet_cuts != 0, usual_load.quiet_cuts);
  EXPECT_EQ(load.gate != nullptr, usual_load.gate != nullptr);
  EXPECT_TRUE(load.reserved == 0 && load.reserved_too == 0);
}

}  // namespace
}  // namespace cow::test

// Promise: a handle names its object until it is closed and nothing afterwards, however places are used again, in any
// number of threads.
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "capi/handles.hpp"

namespace cow::capi {
namespace {

TEST(Handles, name_their_object_until_they_are_closed) {
  int object = 0;
  const HandleNumber handle = add_object(&object, Kind::view);
  ASSERT_NE(handle, 0u);
  EXPECT_EQ(find_object(handle, Kind::view), &object);
  EXPECT_EQ(find_object(handle, Kind::arena), nullptr);
  EXPECT_EQ(remove_object(handle, Kind::arena), nullptr);
  EXPECT_EQ(remove_object(handle, Kind::view), &object);
  EXPECT_EQ(find_object(handle, Kind::view), nullptr);
  EXPECT_EQ(remove_object(handle, Kind::view), nullptr);
}

TEST(Handles, are_never_the_same_again) {
  int object = 0;
  std::set<HandleNumber> seen;
  for (int i = 0; i < 1'000; ++i) {
    const HandleNumber handle = add_object(&object, Kind::heap);
    EXPECT_TRUE(seen.insert(handle).second);
    remove_object(handle, Kind::heap);
  }
  for (const HandleNumber handle : seen) EXPECT_EQ(find_object(handle, Kind::heap), nullptr);
}

TEST(Handles, of_many_objects_at_once_each_name_their_own) {
  std::vector<int> objects(10'000);
  std::vector<HandleNumber> handles;
  for (int& object : objects) handles.push_back(add_object(&object, Kind::arena));
  for (std::size_t i = 0; i < objects.size(); ++i) ASSERT_EQ(find_object(handles[i], Kind::arena), &objects[i]);
  for (const HandleNumber handle : handles) remove_object(handle, Kind::arena);
}

TEST(Handles, are_opened_and_closed_by_threads_at_once) {
  constexpr int rounds = 20'000;
  std::atomic<int> wrong = 0;
  const auto open_and_close = [&wrong] {
    int objects[3];
    HandleNumber old = 0;
    for (int round = 0; round < rounds; ++round) {
      HandleNumber handles[3];
      for (int i = 0; i < 3; ++i) handles[i] = add_object(&objects[i], Kind::snapshot);
      for (int i = 0; i < 3; ++i) wrong += find_object(handles[i], Kind::snapshot) != &objects[i];
      wrong += find_object(old, Kind::snapshot) != nullptr;
      for (int i = 0; i < 3; ++i) wrong += remove_object(handles[i], Kind::snapshot) != &objects[i];
      old = handles[round % 3];
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(open_and_close);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// What one thread closes while another looks is gone, or there: never what took its place.
TEST(Handles, that_are_being_closed_never_name_another_object) {
  constexpr int rounds = 200'000;
  int objects[2];
  std::atomic<HandleNumber> looked_for = add_object(&objects[0], Kind::view);
  std::atomic<bool> done = false;
  int wrong = 0;
  std::thread looker([&] {
    while (!done) {
      void* const found = find_object(looked_for.load(), Kind::view);
      wrong += found != nullptr && found != &objects[0];
    }
  });
  for (int round = 0; round < rounds; ++round) {
    remove_object(looked_for, Kind::view);
    const HandleNumber in_its_place = add_object(&objects[1], Kind::heap);
    remove_object(in_its_place, Kind::heap);
    looked_for = add_object(&objects[0], Kind::view);
  }
  done = true;
  looker.join();
  remove_object(looked_for, Kind::view);
  EXPECT_EQ(wrong, 0);
}

TEST(Handles, are_closed_by_one_of_several_threads) {
  for (int round = 0; round < 500; ++round) {
    int object = 0;
    const HandleNumber handle = add_object(&object, Kind::snapshot);
    std::atomic<int> closed = 0;
    const auto close = [&] { closed += remove_object(handle, Kind::snapshot) != nullptr; };
    std::thread other(close);
    close();
    other.join();
    ASSERT_EQ(closed, 1);
  }
}

}  // namespace
}  // namespace cow::capi

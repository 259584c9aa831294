// Promise: an address finds its range among any number of ranges, in whatever order they come and go, and also while
// they do.
#include <atomic>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "faults/range_index.hpp"
#include "faults/registry.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::uintptr_t range_bytes = 100, distance = 1000;

FaultSlot* slot_numbered(std::vector<FaultSlot>& slots, std::uintptr_t begin) { return &slots[begin / distance]; }

TEST(RangeIndex, finds_what_is_at_an_address_and_what_is_above) {
  RangeIndex index;
  std::vector<FaultSlot> slots(400);
  std::map<std::uintptr_t, FaultSlot*> expected;
  std::mt19937_64 random(1);
  ASSERT_FALSE(index.make_room(slots.size()));
  for (int step = 0; step < 3000; ++step) {
    const std::uintptr_t begin = (1 + random() % (slots.size() - 1)) * distance;
    if (expected.erase(begin) != 0) {
      index.erase(begin);
    } else {
      index.insert(begin, begin + range_bytes, expected[begin] = slot_numbered(slots, begin));
    }
    const std::uintptr_t address = random() % (slots.size() * distance);
    const auto above = expected.upper_bound(address);
    const RangeIndex::Neighbours found = index.search(address);
    ASSERT_EQ(found.above, above == expected.end() ? nullptr : above->second);
    ASSERT_EQ(found.at, above == expected.begin() ? nullptr : std::prev(above)->second);
    ASSERT_EQ(found.end, above == expected.begin() ? 0 : std::prev(above)->first + range_bytes);
  }
}

TEST(RangeIndex, is_searched_while_ranges_come_and_go) {
  RangeIndex index;
  constexpr std::uintptr_t lasting = 201;
  std::vector<FaultSlot> slots(lasting + 1);
  ASSERT_FALSE(index.make_room(slots.size()));
  index.insert(lasting * distance, lasting * distance + range_bytes, &slots[lasting]);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  Team::all_at_once(2, [&](std::size_t member) {
    if (member == 0) {
      for (int round = 0; round < 20; ++round) {
        for (std::uintptr_t i = 1; i < lasting; ++i) index.insert(i * distance, i * distance + range_bytes, &slots[i]);
        for (std::uintptr_t i = 1; i < lasting; ++i) index.erase(i * distance);
      }
      over = true;
      return;
    }
    while (!over) {
      const RangeIndex::Neighbours found = index.search(lasting * distance + 5);
      if (found.at != &slots[lasting] || found.end != lasting * distance + range_bytes) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace cow::test

// Promise: a slab never hands the same memory out twice, leaves what is in use alone, and gives back to the kernel what
// is free beyond what will soon be wanted, however it lies.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/os.hpp"
#include "kernel/slab.hpp"

namespace cow {
namespace {

constexpr std::size_t object_bytes = 4076;  // about a page, but not one, as chunks of logs are
using TestSlab = Slab<object_bytes>;

void trim(TestSlab& slab) {
  slab.trim([](auto&& step) { step(); });
}

class Objects {
 public:
  explicit Objects(TestSlab& slab) : slab_(slab) {}

  void take(std::size_t count) {
    ASSERT_FALSE(slab_.make_room(count));
    for (; count != 0; --count) {
      auto* const at = static_cast<unsigned char*>(slab_.take());
      std::memset(at, pattern_of(at), object_bytes);
      all_.push_back(at);
    }
  }
  void give_back(std::size_t i) {
    expect_whole(all_[i]);
    slab_.give_back(all_[i]);
    all_[i] = all_.back();
    all_.pop_back();
  }
  void expect_all_whole() const {
    for (const unsigned char* at : all_) expect_whole(at);
    std::vector<unsigned char*> sorted = all_;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 1; i < sorted.size(); ++i) ASSERT_GE(sorted[i] - sorted[i - 1], std::ptrdiff_t{object_bytes});
  }
  std::size_t count() const { return all_.size(); }

 private:
  static unsigned char pattern_of(const void* at) {
    return static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(at) / 16 * 0x9e3779b97f4a7c15u >> 56);
  }
  static void expect_whole(const unsigned char* at) {
    ASSERT_EQ(at[0], pattern_of(at));
    ASSERT_EQ(std::memcmp(at, at + 1, object_bytes - 1), 0);
  }

  TestSlab& slab_;
  std::vector<unsigned char*> all_;
};

/// An object that is kept may keep a page, of whatever size.
const std::size_t kept_bytes = 256 * os::page_size();

TEST(Slab, gives_everything_back_but_a_little) {
  TestSlab slab;
  Objects objects(slab);
  objects.take(10'000);
  EXPECT_GE(slab.resident_bytes(), 10'000 * object_bytes);
  EXPECT_FALSE(slab.overfull());
  while (objects.count() != 0) objects.give_back(objects.count() / 3);
  ASSERT_TRUE(slab.overfull());
  trim(slab);
  EXPECT_FALSE(slab.overfull());
  EXPECT_LE(slab.resident_bytes(), kept_bytes);
}

TEST(Slab, gives_back_what_lies_between_objects_in_use) {
  TestSlab slab;
  Objects objects(slab);
  objects.take(10'000);
  std::size_t i = 0;
  for (std::size_t n = 0; n < 10'000; ++n) {  // each hundredth stays, and what is swapped into its place goes
    if (n % 100 == 0) {
      ++i;
    } else {
      objects.give_back(std::min(i, objects.count() - 1));
    }
  }
  ASSERT_EQ(objects.count(), 100U);
  trim(slab);
  EXPECT_LE(slab.resident_bytes(), 100 * 4 * os::page_size() + kept_bytes);
  objects.expect_all_whole();
  objects.take(9'000);  // from the same addresses again
  objects.expect_all_whole();
}

TEST(Slab, keeps_its_reserve) {
  TestSlab slab;
  slab.keep_in_reserve(2000);
  Objects objects(slab);
  objects.take(5000);
  while (objects.count() != 0) objects.give_back(objects.count() - 1);
  trim(slab);
  const std::int64_t before = os::calls_made();
  const std::size_t resident = slab.resident_bytes();
  EXPECT_GE(resident, 2000 * object_bytes);
  objects.take(2000);
  EXPECT_EQ(os::calls_made(), before);
  EXPECT_LE(slab.resident_bytes(), resident + os::page_size());
}

TEST(Slab, stays_right_in_any_sequence_of_operations) {
  std::mt19937_64 random(7);
  TestSlab slab;
  Objects objects(slab);
  for (int step = 0; step < 300; ++step) {
    const std::size_t amount = random() % 600;
    const bool shrinks = random() % 2 == 0;
    if (!shrinks) objects.take(amount);
    for (std::size_t i = 0; shrinks && i < amount && objects.count() != 0; ++i) {
      objects.give_back(random() % objects.count());
    }
    if (random() % 3 == 0) trim(slab);
    if (step % 20 == 0) objects.expect_all_whole();
  }
  objects.expect_all_whole();
}

}  // namespace
}  // namespace cow

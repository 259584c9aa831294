// Promise: a mapping's page tables go to another place with what they show; what stays behind shows the same file, and
// whoever stores to one is seen in the other.
#include <sys/resource.h>

#include <cstddef>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/environment.hpp"

namespace cow::test {
namespace {

long faults_so_far() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST(MovingPageTables, takes_no_touching_again_and_leaves_no_gap) {
  constexpr std::size_t pages = 512;
  const std::size_t bytes = pages * page_size();
  const os::Result<os::Descriptor> file = os::create_memory_file("moved");
  const os::Result<void*> from = os::reserve_addresses(nullptr, bytes), to = os::reserve_addresses(nullptr, bytes);
  ASSERT_TRUE(file && from && to);
  ASSERT_FALSE(os::map_file(from.value, bytes, os::Access::read_write, file.value, 0));
  ASSERT_FALSE(os::map_file(to.value, bytes, os::Access::read_write, file.value, 0));
  auto* const old_place = static_cast<volatile std::byte*>(from.value);
  auto* const place = static_cast<volatile std::byte*>(to.value);
  for (std::size_t page = 0; page < pages; ++page) old_place[page * page_size()] = std::byte{7};
  if (os::move_page_tables(from.value, bytes, to.value)) GTEST_SKIP() << "the kernel does not do it";
  const long before = faults_so_far();
  for (std::size_t page = 0; page < pages; ++page) {
    ASSERT_TRUE(place[page * page_size()] == std::byte{7});
    place[page * page_size()] = std::byte{8};
  }
  if (!under_asan && !under_tsan) {
    EXPECT_LT(faults_so_far() - before, 16);
  }
  for (std::size_t page = 0; page < pages; ++page) ASSERT_TRUE(old_place[page * page_size()] == std::byte{8});
  old_place[0] = std::byte{9};
  EXPECT_TRUE(place[0] == std::byte{9});
  os::unmap(from.value, bytes);
  os::unmap(to.value, bytes);
  os::close_file(file.value);
}

}  // namespace
}  // namespace cow::test

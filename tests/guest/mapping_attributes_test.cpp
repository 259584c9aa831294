// Promise: what is asked of an arena's mapping holds for pages that move too: by an option where the kernel does not
// tell what was asked of it; else the guide says what to use instead.
#include <cstddef>
#include <string>

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "guest/barrier_argument.hpp"
#include "support/pages.hpp"
#include "support/vm_flags.hpp"

namespace cow::test {
namespace {

class MappingAttributes : public BarrierTest {
 protected:
  static constexpr std::size_t pages = 64;

  /// A page that is at another place of the file once this returns.
  static void move_page(Arena& arena, std::size_t page) {
    fill_run(arena, 0, pages, 1);
    const Arena clone = arena.clone();
    fill(arena, page, 2);
    ASSERT_GT(arena.stats().pages_moved, 0U);
    EXPECT_TRUE(shows(clone, Picture(pages, 1)));
  }
};
COW_FOR_EVERY_BARRIER(MappingAttributes);

TEST_P(MappingAttributes, core_dumps_leave_out_all_of_an_arena_made_so) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  ArenaOptions options = options_for(GetParam(), pages);
  options.in_core_dumps = false;
  Arena arena(options);
  move_page(arena, 9);
  for (const std::size_t page : {0U, 9U, 63U}) {
    EXPECT_TRUE(mapping_at(page_at(arena, page)).left_out_of_core_dumps()) << "page " << page;
  }
  Arena clone = arena.clone();
  fill(clone, 20, 3);
  const View view = arena.snapshot().view();
  for (const std::size_t page : {0U, 9U, 20U}) {
    EXPECT_TRUE(mapping_at(page_at(clone, page)).left_out_of_core_dumps()) << "page " << page << " of a clone";
    EXPECT_TRUE(mapping_at(page_at(view, page)).left_out_of_core_dumps()) << "page " << page << " of a view";
  }
}

TEST_P(MappingAttributes, core_dumps_hold_a_moved_page_that_only_madvise_left_out) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(pages);
  ASSERT_EQ(::madvise(arena.data(), arena.capacity(), MADV_DONTDUMP), 0);
  move_page(arena, 9);
  EXPECT_TRUE(mapping_at(page_at(arena, 20)).left_out_of_core_dumps());
  EXPECT_FALSE(mapping_at(page_at(arena, 9)).left_out_of_core_dumps());
}

TEST_P(MappingAttributes, the_name_stays) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(pages, "named");
  move_page(arena, 9);
  EXPECT_NE(mapping_at(page_at(arena, 9)).line.find("memfd:named"), std::string::npos);
}

int policy_at(const void* at) {
  int mode = -1;
  return ::syscall(SYS_get_mempolicy, &mode, nullptr, 0, at, MPOL_F_ADDR) == 0 ? mode : -1;
}

TEST_P(MappingAttributes, a_memory_policy_stays) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  constexpr unsigned long first_node = 1;
  Arena arena = make_arena(pages);
  if (::syscall(SYS_mbind, arena.data(), arena.capacity(), MPOL_BIND, &first_node, 64, MPOL_MF_MOVE) != 0) {
    GTEST_SKIP() << "no memory policies here";
  }
  move_page(arena, 9);
  EXPECT_EQ(policy_at(page_at(arena, 20)), MPOL_BIND);
  EXPECT_EQ(policy_at(page_at(arena, 9)), MPOL_BIND);
}

}  // namespace
}  // namespace cow::test

// Promises: what the kernel barrier begins with, and what takes over from it, is made ready for all pages at once, not by
// a fault or a call for each that is written later; and where the kernel refuses some of that nothing is lost.
#include <sys/resource.h>

#include <cstdint>
#include <exception>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 2048;

class KernelBarrierChanges : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  }
  static Arena make() {
    return quiet_arena(Barrier::kernel, pages);
  }
  static std::uint64_t pages_opened(const Arena& arena) COW_HELD_UNCHECKED {
    return Access::books(arena)->opened.count();
  }
};

/// The first cut gives the second mapping the page tables that the arena's own loses: what later cuts copy by it takes
/// no faults.
TEST_F(KernelBarrierChanges, first_cut_moves_page_tables_to_where_frames_are_written) {
  if (under_tsan || under_asan) GTEST_SKIP() << "sanitizers take faults of their own";
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  (void)arena.snapshot();
  fill_run(arena, 0, pages, 2);
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  const Snapshot second = arena.snapshot();
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_minflt - before.ru_minflt, static_cast<long>(pages / 16));
  EXPECT_EQ(mark_of(second, pages - 1), 2U);
}

/// One by one, when they are first written, would cost a call more each.
TEST_F(KernelBarrierChanges, opens_all_that_has_content_at_once_where_userfaultfd_takes_over) {
  if (!is_available(Barrier::userfaultfd)) GTEST_SKIP() << "userfaultfd is not available here";
  for (std::int64_t nth = 0; nth < 200; ++nth) {
    Arena arena = make();
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
    const Snapshot first = arena.snapshot();
    const std::int64_t before = os::calls_made();
    os::fail_after(nth);  // 0: none
    try {
      const RefuseWrites refuse(arena);
    } catch (const std::exception&) {
    }
    os::fail_after(0);
    const bool enough = nth != 0 && os::calls_made() - before < nth;
    if (nth == 0) {
      ASSERT_EQ(arena.barrier(), Barrier::userfaultfd);
      EXPECT_EQ(pages_opened(arena), pages);
    }
    for (std::size_t page = 0; page < pages; page += 37) put_mark(arena, page, 2);
    const Snapshot second = arena.snapshot();
    for (std::size_t page = 0; page < pages; page += 41) put_mark(arena, page, 3);
    for (std::size_t page = 0; page < pages; ++page) {
      ASSERT_EQ(mark_of(first, page), 1U) << nth << ", page " << page;
      ASSERT_EQ(mark_of(second, page), page % 37 == 0 ? 2U : 1U) << nth << ", page " << page;
    }
    if (enough) return;
  }
  ADD_FAILURE() << "the change never ends";
}

}  // namespace
}  // namespace cow::test

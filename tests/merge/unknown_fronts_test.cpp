// Promise: what is adopted or merged shows in the arena also where a prepared page has a front that no book of the
// library names, as a device's that only reads; and where the kernel has taken that out.
#include <cstdint>
#include <system_error>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "kernel/fork_gate.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/swap.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 200;

/// An arena whose pages were prepared, and all of which have fronts that the books have forgotten; and a clone that has
/// written every second page.
struct Forgotten {
  Forgotten() : original(arena()), clone(clone_with_fronts()) {
    for (std::size_t p = 0; p < pages; p += 2) clone.paint(p, 2);
    result = clone.arena().snapshot();
    ArenaBooks& books = *Access::books(original.arena());
    const WriterLockGuard guard(*books.fault_lock);
    books.fronts.present.clear();
  }

  Snapshot base, result;
  Painted original, clone;

 private:
  static Arena arena() {
    Arena made = quiet_arena(Barrier::kernel, pages);
    made.prepare_write(made.data(), pages * page_size());
    return made;
  }
  Painted clone_with_fronts() {
    (void)original.arena().snapshot();
    original.paint_run(0, pages, 1);
    base = original.arena().snapshot();
    return {base.clone(), original.picture()};
  }
};

class UnknownFronts : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  }
};

TEST_F(UnknownFronts, show_what_is_adopted) {
  Forgotten family;
  family.original.arena().adopt(family.result);
  EXPECT_TRUE(shows(family.original.arena(), family.clone.picture()));
  const Snapshot after = family.original.arena().snapshot();
  family.original.arena().rollback(family.base);
  EXPECT_TRUE(family.original.is_right());
  EXPECT_TRUE(shows(after.clone(), family.clone.picture()));
}

TEST_F(UnknownFronts, show_what_is_merged) {
  Forgotten family;
  (void)merge(family.original.arena(), family.base, family.result);
  EXPECT_TRUE(shows(family.original.arena(), family.clone.picture()));
  EXPECT_TRUE(shows(family.original.arena().snapshot().clone(), family.clone.picture()));
}

TEST_F(UnknownFronts, show_it_also_where_they_are_swapped_out) {
  const Swap swap;
  if (!swap) GTEST_SKIP() << swap.reason();
  Forgotten family;
  swap_out(family.original.arena());
  family.original.arena().adopt(family.result);
  EXPECT_TRUE(shows(family.original.arena(), family.clone.picture()));
}

TEST_F(UnknownFronts, show_it_also_where_any_call_is_refused) {
  for (std::int64_t nth = 1;; ++nth) {
    Forgotten family;
    const std::int64_t before = os::calls_made();
    bool threw = false;
    os::fail_after(nth);
    try {
      family.original.arena().adopt(family.result);
    } catch (const std::system_error&) {
      threw = true;
    }
    os::fail_after(0);
    const std::int64_t made = os::calls_made() - before;
    const Picture& now = threw ? family.original.picture() : family.clone.picture();
    ASSERT_TRUE(shows(family.original.arena(), now)) << nth;
    ASSERT_TRUE(shows(family.original.arena().snapshot().clone(), now)) << nth;
    if (made < nth) break;
  }
}

}  // namespace
}  // namespace cow::test

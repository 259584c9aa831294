// Promise: a first cut that fails leaves the arena the plain memory that it was, with its content; and where the process
// has few mappings left it is made all the same.
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "books/arena_books.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 4096;  // eight extents

class FirstCutThatFails : public BarrierTest {
 protected:
  Painted scattered() const {
    Painted painted(make_arena(pages));
    for (std::size_t page = 20; page < pages; page += 1100) painted.paint_run(page, 5, page);
    return painted;
  }

  static testing::AssertionResult takes_system_calls_everywhere(Painted& painted) {
    const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    testing::AssertionResult result = testing::AssertionSuccess();
    for (std::size_t page = 30; page < pages; page += 10) {
      if (painted.picture()[page] != 0 || ::read(zeros, page_at(painted.arena(), page), 1) == 1) continue;
      result = testing::AssertionFailure() << "page " << page << " is protected";
    }
    ::close(zeros);
    return result;
  }

  /// False where it succeeds.
  static bool fails(Painted& painted, Snapshot& taken) {
    try {
      taken = painted.arena().snapshot();
      return false;
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
    return true;
  }
};
COW_FOR_EVERY_BARRIER(FirstCutThatFails);

TEST_P(FirstCutThatFails, leaves_plain_memory_whichever_call_was_refused) {
  int failures = 0;
  for (std::int64_t nth = 1; nth < 200; ++nth) {
    Painted painted = scattered();
    Snapshot first;
    const std::int64_t before = os::calls_made();
    os::fail_after(nth);
    const bool failed = fails(painted, first);
    os::fail_after(0);
    const bool injected = os::calls_made() - before >= nth;
    ASSERT_TRUE(painted.is_right()) << "call " << nth;
    if (failed) {
      ++failures;
      ASSERT_TRUE(takes_system_calls_everywhere(painted)) << "call " << nth;
      painted.paint(30, 7);
      painted.paint(1500, 8);
      first = painted.arena().snapshot();
    }
    const Picture then = painted.picture();
    ASSERT_TRUE(shows(first, then)) << "call " << nth;
    for (std::size_t page = 3; page < pages; page += 300) painted.paint(page, 9);
    painted.paint(21, 10);
    ASSERT_TRUE(shows(first, then)) << "call " << nth;
    ASSERT_TRUE(shows(painted.arena().snapshot(), painted.picture())) << "call " << nth;
    painted.arena().rollback(first);
    ASSERT_TRUE(shows(painted.arena(), then)) << "call " << nth;
    if (!injected) break;
    ASSERT_LT(nth, 199) << "the cut never succeeds";
  }
  EXPECT_GT(failures, 0);
}

// What failed to protect may fail to open again as well: whoever stores under the arena's lock opens it first.
TEST_P(FirstCutThatFails, half_way_and_back_leaves_memory_that_all_operations_store_to) {
  int failures = 0;
  for (std::uint64_t seed = 1; seed < (under_sanitizer ? 60 : 160); ++seed) {
    Painted painted = scattered();
    const std::uint64_t mappings = painted.arena().stats().mappings;
    Snapshot first;
    os::fail_by_chance(seed, seed % 2 == 0 ? 2 : 4);
    const bool failed = fails(painted, first);
    os::fail_by_chance(0, 0);
    failures += failed ? 1 : 0;
    if (failed && GetParam() != Barrier::kernel) {  // where a cut that fails has made mappings of its own
      ASSERT_EQ(painted.arena().stats().mappings, mappings) << "seed " << seed;
    }
    write_page(painted, 20, 7);
    write_page(painted, 1000, 8);
    painted.arena().discard(page_at(painted.arena(), 21), page_size());
    Picture picture = painted.picture();
    picture[21] = 0;
    painted.set_picture(picture);
    ASSERT_TRUE(painted.is_right()) << "seed " << seed;
    first = painted.arena().snapshot();
    for (std::size_t page = 3; page < pages; page += 300) painted.paint(page, 9);
    ASSERT_TRUE(shows(first, picture)) << "seed " << seed;
  }
  EXPECT_GT(failures, 4);
}

TEST_P(FirstCutThatFails, is_made_all_the_same_with_few_mappings) {
  Painted painted(make_arena(pages));
  for (std::size_t page = 20; page < pages; page += 1100) painted.paint_run(page, 5, page);
  const std::uint64_t limit = MappingBudget::limit();
  MappingBudget::set_limit(MappingBudget::used + 3);
  const Snapshot first = painted.arena().snapshot();
  MappingBudget::set_limit(limit);
  EXPECT_LE(painted.arena().stats().mappings, 3U);
  const Picture then = painted.picture();
  for (std::size_t page = 3; page < pages; page += 300) painted.paint(page, 9);
  EXPECT_TRUE(shows(first, then));
  EXPECT_TRUE(shows(painted.arena().snapshot(), painted.picture()));
}

}  // namespace
}  // namespace cow::test

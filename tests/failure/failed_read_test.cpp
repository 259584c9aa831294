// Promise: a read of a snapshot that was refused memory changes nothing that later ones rely on: what is asked of the
// snapshot afterwards is answered as if nobody had asked before.
#include <cstdint>
#include <functional>
#include <system_error>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/limits.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;
constexpr std::size_t written_last = 40;

bool refused(const std::function<void()>& call) {
  try {
    call();
    return false;
  } catch (const std::system_error&) {
    return true;
  }
}

/// A snapshot whose logs were looked through up to a newer one's; that one is gone, and its log with it; then a page
/// was written that nobody has asked for yet.
struct LookedThrough {
  explicit LookedThrough(Arena made) : arena(std::move(made)) {
    fill_run(arena, 0, pages, 1);
    old = arena.snapshot();
    fill_run(arena, 0, 8, 2);
    Snapshot newer = arena.snapshot();
    fill_run(arena, 8, 8, 3);
    EXPECT_EQ(mark_of(old, 9), 1U);
    newer = Snapshot();
    fill(arena, written_last, 4);
  }

  Arena arena;
  Snapshot old;
};

class FailedRead : public BarrierTest {
 protected:
  /// Each call of a read fails once, on a fresh arena each time. Returns how many of the reads threw.
  int fail_each_call(const std::function<void(LookedThrough&)>& afterwards) {
    int failures = 0;
    for (std::int64_t nth = 1; nth <= 6; ++nth) {
      LookedThrough at(make_arena(pages));
      os::fail_after(nth);
      failures += refused([&] { (void)mark_of(at.old, written_last); }) ? 1 : 0;
      os::fail_after(0);
      afterwards(at);
      if (HasFailure()) ADD_FAILURE() << "when call " << nth << " of the read fails";
      if (HasFailure()) break;
    }
    return failures;
  }
};
COW_FOR_EVERY_BARRIER(FailedRead);

const Picture as_it_was(pages, 1);

TEST_P(FailedRead, can_be_tried_again) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  EXPECT_GT(fail_each_call([](LookedThrough& at) {
    EXPECT_EQ(mark_of(at.old, written_last), 1U);
    EXPECT_TRUE(shows(at.old, as_it_was));
  }), 0);
}

TEST_P(FailedRead, leaves_views_right) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  EXPECT_GT(fail_each_call([](LookedThrough& at) { EXPECT_TRUE(shows(at.old.view(), as_it_was)); }), 0);
}

TEST_P(FailedRead, leaves_clones_right) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  EXPECT_GT(fail_each_call([](LookedThrough& at) { EXPECT_TRUE(shows(at.old.clone(), as_it_was)); }), 0);
}

TEST_P(FailedRead, leaves_what_changed_complete) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  EXPECT_GT(fail_each_call([](LookedThrough& at) {
    std::size_t named = 0;
    for (const PageRange& range : at.arena.changed_since(at.old)) {
      for (const std::size_t page : {std::size_t{0}, std::size_t{15}, written_last})
        named += page >= range.first && page < range.first + range.count ? 1 : 0;
    }
    EXPECT_EQ(named, 3U);
  }), 0);
}

TEST_P(FailedRead, leaves_rollback_whole) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  EXPECT_GT(fail_each_call([](LookedThrough& at) {
    at.arena.rollback(at.old);
    EXPECT_TRUE(shows(at.arena, as_it_was));
  }), 0);
}

// Without a seam: the limit that an administrator sets.
TEST_P(FailedRead, at_the_limit_of_the_address_space_can_be_tried_again_later) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  int failures = 0;
  for (std::size_t granted = 0; granted < 6; ++granted) {
    LookedThrough at(make_arena(pages));
    {
      const std::size_t now = proc_bytes("/proc/self/status", "VmSize");
      const LoweredLimit limit(RLIMIT_AS, now + granted * page_size());
      failures += refused([&] { (void)mark_of(at.old, written_last); }) ? 1 : 0;
    }
    EXPECT_TRUE(shows(at.old, as_it_was)) << granted << " pages granted";
    EXPECT_TRUE(shows(at.old.view(), as_it_was)) << granted << " pages granted";
  }
  EXPECT_GT(failures, 0);
}

}  // namespace
}  // namespace cow::test

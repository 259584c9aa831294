// Promise: pages written again and again, by a single writer, stay writable and are copied ahead: no fault, nothing
// lost. Pages that stop changing leave.
#include <cstdint>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 16;
constexpr std::size_t hot = 1;

class RecurringPages : public BarrierTest {
 protected:
  static Arena make(bool single_writer) {
    ArenaOptions options = options_for(GetParam(), pages);
    options.single_writer = single_writer;
    Arena arena(options);
    fill_run(arena, 0, pages, 1);
    return arena;
  }

  /// Snapshots and writes the hot page where `writes` says so; another page is written in each, elsewhere each time.
  /// The faults of the hot page.
  static std::uint64_t intervals(
      Arena& arena, int count, const std::function<bool(int)>& writes,
      const std::function<std::uint64_t(int)>& value = [](int i) { return 100U + static_cast<std::uint64_t>(i); }) {
    std::uint64_t faults = 0;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t old = mark_of(arena, hot);
      const Snapshot snapshot = arena.snapshot();
      const std::uint64_t before = arena.stats().faults();
      if (writes(i)) put_mark(arena, hot, value(i));
      faults += arena.stats().faults() - before;
      put_mark(arena, 6 + static_cast<std::size_t>(i) * 7 % 10, 1000 + static_cast<std::uint64_t>(i));
      EXPECT_EQ(mark_of(snapshot, hot), old) << "interval " << i;
    }
    return faults;
  }
};
COW_FOR_EVERY_BARRIER(RecurringPages);

bool always(int) { return true; }
bool never(int) { return false; }

TEST_P(RecurringPages, fault_a_few_times_and_then_no_more) {
  Arena arena = make(true);
  EXPECT_LE(intervals(arena, 10, always), 3U);
  EXPECT_EQ(intervals(arena, 30, always), 0U);
}

TEST_P(RecurringPages, may_miss_an_interval_now_and_then) {
  Arena arena = make(true);
  EXPECT_LE(intervals(arena, 60, [](int i) { return i % 3 == 0; }), 3U);
}

TEST_P(RecurringPages, leave_when_they_stop_changing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make(true);
  intervals(arena, 10, always);
  intervals(arena, 10, never);
  EXPECT_EQ(intervals(arena, 1, always), 1U);
}

TEST_P(RecurringPages, that_left_have_to_recur_again) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make(true);
  intervals(arena, 10, always);
  intervals(arena, 10, never);
  EXPECT_EQ(intervals(arena, 2, always), 2U);
}

TEST_P(RecurringPages, whose_content_alternates_stay) {
  Arena arena = make(true);
  intervals(arena, 10, always);
  EXPECT_EQ(intervals(arena, 40, always, [](int i) { return 7U + static_cast<std::uint64_t>(i % 2); }), 0U);
}

TEST_P(RecurringPages, are_only_those_written_near_each_other) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make(true);
  EXPECT_GE(intervals(arena, 60, [](int i) { return i % 6 == 0; }), 10U);
}

TEST_P(RecurringPages, are_protected_when_the_writer_is_not_alone) {
  Arena shared = make(false);
  std::jthread other([] {});  // a process that has had threads
  other.join();
  intervals(shared, 10, always);
  const std::uint64_t faults = intervals(shared, 20, always);
  EXPECT_EQ(faults, 20U);
}

}  // namespace
}  // namespace cow::test

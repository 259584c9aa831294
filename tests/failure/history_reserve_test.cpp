// Promise: what ArenaOptions::reserve_history_bytes covers is copied and logged without a call for memory; where the
// reserve cannot be made whole, that is an exception of snapshot() or of the constructor, and changes nothing.
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/refuse_memory.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 1024;
constexpr int cannot_refuse = 77;

Arena arena_with_reserve(Barrier barrier, std::size_t reserved_pages) {
  ArenaOptions options = options_for(barrier, pages);
  options.reserve_history_bytes = reserved_pages * page_size();
  return Arena(options);
}

/// All pages once, far apart from each other: each is a fault of its own.
std::vector<std::size_t> scattered() {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < pages; ++i) order.push_back(i * 389 % pages);
  return order;
}

// Two snapshots, each with a reserve for the pages behind it; then there is no memory any more. After a third the pages
// would count as recurring, and be copied ahead.
int write_without_memory(Barrier barrier, std::size_t reserved_pages) {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  Arena arena = arena_with_reserve(barrier, reserved_pages);
  Snapshot snapshots[2];
  for (std::uint64_t round = 0; round < 2; ++round) {
    fill_run(arena, 0, pages, round + 1);
    snapshots[round] = arena.snapshot();
  }
  const std::vector<std::size_t> order = scattered();
  if (!refuse_memory_from_now_on(Protection::granted)) return cannot_refuse;
  for (const std::size_t page : order) put_mark(arena, page, 77);
  for (const std::size_t page : order) {
    if (mark_of(arena, page) != 77) return 1;
  }
  return 0;
}

Barrier barrier_named(const std::string& name) {
  return name == name_of(Barrier::userfaultfd) ? Barrier::userfaultfd : Barrier::mprotect;
}
COW_CHILD_BODY(write_from_the_reserve) { return write_without_memory(barrier_named(argument), pages); }
COW_CHILD_BODY(write_without_a_reserve) { return write_without_memory(barrier_named(argument), 0); }

class HistoryReserve : public BarrierTest {};
COW_FOR_EVERY_BARRIER(HistoryReserve);

TEST_P(HistoryReserve, serves_faults_when_there_is_no_memory_left) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  const ChildResult with = run_child("write_from_the_reserve", name_of(GetParam()));
  if (with.exited_with(cannot_refuse)) GTEST_SKIP() << "this sandbox allows no filters";
  EXPECT_TRUE(with.exited_with(0)) << with.how();
  const ChildResult without = run_child("write_without_a_reserve", name_of(GetParam()));
  EXPECT_TRUE(without.died_by(SIGSEGV) || without.died_by(SIGBUS)) << "a test that cannot fail: " << without.how();
}

TEST_P(HistoryReserve, leaves_faults_no_call_but_that_for_protection) {
  Arena arena = arena_with_reserve(GetParam(), pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot snapshot = arena.snapshot();
  const std::int64_t before = os::calls_made();
  for (const std::size_t page : scattered()) put_mark(arena, page, 2);
  EXPECT_LE(os::calls_made() - before, static_cast<std::int64_t>(pages));
  EXPECT_TRUE(filled(page_at(snapshot.view(), 5), 1));
}

TEST_P(HistoryReserve, is_whole_again_after_each_snapshot) {
  Arena arena = arena_with_reserve(GetParam(), pages);
  std::vector<Snapshot> kept;
  for (std::uint64_t round = 1; round < 6; ++round) {
    fill_run(arena, 0, pages, round);
    kept.push_back(arena.snapshot());
    EXPECT_GE(arena.stats().history_frames_free, pages);
  }
  EXPECT_EQ(mark_of(kept.front(), 7), 1U);
}

TEST_P(HistoryReserve, that_cannot_be_made_whole_is_an_exception_of_snapshot) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = arena_with_reserve(GetParam(), pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot first = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  os::fail_after(1);
  try {
    const Snapshot second = arena.snapshot();
    ADD_FAILURE() << "it did not notice";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("reserve"), std::string::npos) << error.what();
  }
  os::fail_after(0);
  EXPECT_TRUE(shows(arena, Picture(pages, 2)));
  EXPECT_TRUE(shows(first, Picture(pages, 1)));
  const Snapshot second = arena.snapshot();
  fill_run(arena, 0, pages, 3);
  EXPECT_TRUE(shows(second, Picture(pages, 2)));
}

TEST_P(HistoryReserve, that_cannot_be_had_leaves_nothing_of_the_arena) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  const auto attempt = [&] {
    for (std::int64_t nth = 1; nth < 200; ++nth) {
      os::fail_after(nth);
      try {
        const Arena arena = arena_with_reserve(GetParam(), 300);
        os::fail_after(0);
        return nth;
      } catch (const std::system_error&) {
      }
    }
    return std::int64_t{0};
  };
  EXPECT_GT(attempt(), 5);
  const std::size_t descriptors = descriptor_count(), mapped = mapping_count();
  attempt();
  EXPECT_EQ(descriptor_count(), descriptors);
  EXPECT_LE(mapping_count(), mapped + 4);
}

// What madvise says where strict overcommit has nothing left, and what a fault would have died of.
COW_CHILD_BODY(find_no_page_for_the_reserve) {
  Arena arena = arena_with_reserve(barrier_named(argument), pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot first = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  if (!refuse_calls_from_now_on({SYS_madvise}, EFAULT)) return cannot_refuse;
  try {
    const Snapshot second = arena.snapshot();
    return 1;
  } catch (const std::system_error& error) {
    CHECK_IN_CHILD(error.code().value() == ENOMEM);
  }
  CHECK_IN_CHILD(shows(arena, Picture(pages, 2)) && shows(first, Picture(pages, 1)));
  return 0;
}

TEST_P(HistoryReserve, that_finds_no_page_is_a_lack_of_memory) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  const ChildResult result = run_child("find_no_page_for_the_reserve", name_of(GetParam()));
  if (result.exited_with(cannot_refuse)) GTEST_SKIP() << "this sandbox allows no filters";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

// More than the library keeps by itself.
TEST_P(HistoryReserve, keeps_its_memory_when_snapshots_go) {
  if (under_sanitizer) GTEST_SKIP() << "memory enough for it without the sanitizer's";
  const std::size_t reserved = (std::size_t{160} << 20) / page_size();
  Arena arena = arena_with_reserve(GetParam(), reserved);
  fill_run(arena, 0, pages, 1);
  Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  snapshot = Snapshot();
  EXPECT_GE(arena.stats().history_frames_free, reserved);
}

}  // namespace
}  // namespace cow::test

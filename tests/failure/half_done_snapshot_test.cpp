// Promise: a snapshot() that failed half-way has changed nothing that shows: all pages can be written, and the next
// snapshot has what was written before.
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 4096;

bool snapshot_fails_at(Arena& arena, std::int64_t nth) {
  os::fail_after(nth);
  bool failed = false;
  try {
    (void)arena.snapshot();
  } catch (const std::system_error&) {
    failed = true;
  }
  os::fail_after(0);
  return failed;
}

class HalfDoneSnapshot : public BarrierTest {};
COW_FOR_EVERY_BARRIER(HalfDoneSnapshot);

// Moved pages make mappings that are read-only and many: the pages are protected by several calls.
TEST_P(HalfDoneSnapshot, leaves_every_page_to_be_written) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  int failures = 0;
  for (std::int64_t nth = 1; nth <= 12; ++nth) {
    Arena arena = make_arena(pages);
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
    const Snapshot first = arena.snapshot();
    {
      const View lends = first.view();
      for (std::size_t i = 0; i < 100; ++i) put_mark(arena, i * 40 + 1, 2);
    }
    const Snapshot second = arena.snapshot();
    for (std::size_t page = 0; page < pages; page += 500) put_mark(arena, page, 3);
    failures += snapshot_fails_at(arena, nth) ? 1 : 0;
    for (std::size_t page = 0; page < pages; page += 500) put_mark(arena, page, 4);
    const Snapshot third = arena.snapshot();
    for (std::size_t page = 0; page < pages; page += 500) put_mark(arena, page, 5);
    for (std::size_t page = 0; page < pages; page += 500) {
      ASSERT_EQ(mark_of(third, page), 4U) << "call " << nth;
      ASSERT_EQ(mark_of(second, page), 1U) << "call " << nth;
    }
  }
  EXPECT_GT(failures, 1);
}

// The pages have moved, so that write() stores to them where they are: they count as writable, and some are protected.
TEST_P(HalfDoneSnapshot, leaves_every_page_to_be_handed_over) {
  int failures = 0;
  for (std::int64_t nth = 1; nth <= 12; ++nth) {
    Arena arena = make_arena(pages);
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
    const View lends = arena.snapshot().view();
    std::vector<Write> batch;
    const std::uint64_t three = 3;
    for (std::size_t page = 1; page < pages; page += 500) {
      put_mark(arena, page, 2);
      batch.push_back({page_at(arena, page), &three, sizeof three});
    }
    failures += snapshot_fails_at(arena, nth) ? 1 : 0;
    arena.write(batch);
    const Snapshot third = arena.snapshot();
    for (std::size_t page = 1; page < pages; page += 500) put_mark(arena, page, 4);
    for (std::size_t page = 1; page < pages; page += 500) {
      ASSERT_EQ(mark_of(lends, page), 1U) << "call " << nth;
      ASSERT_EQ(mark_of(third, page), 3U) << "call " << nth;
      ASSERT_EQ(mark_of(arena, page), 4U) << "call " << nth;
    }
  }
  EXPECT_GT(failures, 1);
}

// A page that stayed writable is written without a fault. Copying it ahead needs a kernel call now and then: for a
// frame.
TEST_P(HalfDoneSnapshot, does_not_hide_what_was_written_without_a_fault) {
  ArenaOptions options = options_for(GetParam(), 64);
  options.single_writer = true;
  Arena arena(options);
  std::vector<Snapshot> kept;
  int failures = 0;
  for (std::uint64_t number = 1; number < 400; ++number) {
    put_mark(arena, 0, number);
    const bool failed = snapshot_fails_at(arena, 1);
    failures += failed && number > 8 ? 1 : 0;
    kept.push_back(arena.snapshot());
    ASSERT_EQ(mark_of(kept.back(), 0), number) << (failed ? "after a failure" : "");
    ASSERT_TRUE(kept.size() == 1 || mark_of(kept[kept.size() - 2], 0) == number - 1);
  }
  EXPECT_GT(failures, 1);
}

// Afterwards the kernel refuses once more, in the handler: where mappings are what it lacks, a larger window needs
// none.
COW_CHILD_BODY(fail_in_the_handler_too) {
  for (std::int64_t nth = 1; nth <= 6; ++nth) {
    const bool user = argument == name_of(Barrier::userfaultfd);
    Arena arena(options_for(user ? Barrier::userfaultfd : Barrier::mprotect, 1024));
    for (std::size_t page = 0; page < 1024; ++page) put_mark(arena, page, 1);
    const Snapshot first = arena.snapshot();
    for (std::size_t page = 10; page < 1024; page += 290) put_mark(arena, page, 2);
    (void)snapshot_fails_at(arena, nth);
    os::fail_after(1);
    put_mark(arena, 10, 3);
    os::fail_after(0);
    CHECK_IN_CHILD(mark_of(arena, 10) == 3 && mark_of(first, 10) == 1);
  }
  return 0;
}

TEST_P(HalfDoneSnapshot, and_another_failure_in_the_handler_loses_no_write) {
  const ChildResult result = run_child("fail_in_the_handler_too", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

constexpr int no_page_stays_writable = 77;

// From then on no page is to stay writable: the snapshot that fails was to protect the one that did.
COW_CHILD_BODY(stop_being_without_threads) {
  Arena arena(options_for(argument == name_of(Barrier::userfaultfd) ? Barrier::userfaultfd : Barrier::mprotect, 64));
  std::vector<Snapshot> kept;
  for (std::uint64_t number = 1; number < 8; ++number) {
    put_mark(arena, 0, number);
    kept.push_back(arena.snapshot());
  }
  if (arena.stats().pages_writable != 1) return no_page_stays_writable;
  std::thread([] {}).join();
  put_mark(arena, 0, 99);
  CHECK_IN_CHILD(snapshot_fails_at(arena, 1));
  CHECK_IN_CHILD(mark_of(arena.snapshot(), 0) == 99);
  CHECK_IN_CHILD(mark_of(kept.back(), 0) == 7);
  return 0;
}

TEST_P(HalfDoneSnapshot, does_not_hide_that_either_when_the_first_thread_has_come) {
  const ChildResult result = run_child("stop_being_without_threads", name_of(GetParam()));
  if (under_sanitizer && result.exited_with(no_page_stays_writable))
    GTEST_SKIP() << "the sanitizer has threads of its own";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

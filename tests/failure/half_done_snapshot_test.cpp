// Promise: a snapshot() that failed half-way has changed nothing that shows: all pages can be written, and the next snapshot
// has what was written before.
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "os.hpp"
#include "support/barriers.hpp"
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

// A page that stayed writable was written without a fault; then the program stops being one without threads.
TEST_P(HalfDoneSnapshot, does_not_hide_what_was_written_without_a_fault) {
  ArenaOptions options = options_for(GetParam(), 64);
  options.single_writer = true;
  for (std::int64_t nth = 1; nth <= 6; ++nth) {
    Arena arena(options);
    std::vector<Snapshot> kept;
    for (std::uint64_t i = 1; i < 8; ++i) {
      put_mark(arena, 0, i);
      kept.push_back(arena.snapshot());
    }
    put_mark(arena, 0, 99);
    (void)snapshot_fails_at(arena, nth);
    EXPECT_EQ(mark_of(arena.snapshot(), 0), 99U) << "call " << nth;
    EXPECT_EQ(mark_of(kept.back(), 0), 7U) << "call " << nth;
  }
}

}  // namespace
}  // namespace cow::test

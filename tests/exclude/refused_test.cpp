// Promise: an exclude() that throws has changed nothing, whichever kernel call was refused: pages are excluded or not,
// never half, and all goes on as before. Stores of other threads meanwhile are not lost.
#include <atomic>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/family.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

class RefusedExclude : public BarrierTest {};
COW_FOR_EVERY_BARRIER(RefusedExclude);

/// Whether it succeeded.
bool try_to_exclude(Arena& arena, std::size_t first, std::size_t count) {
  try {
    arena.exclude(page_at(arena, first), count * page_size());
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

TEST_P(RefusedExclude, changes_nothing_whichever_call_fails) {
  for (std::int64_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 200);
    Family family(make_arena(Family::pages));
    Arena& arena = family.painted.arena();
    os::fail_after(nth);
    const std::int64_t before = os::calls_made();
    const bool done = try_to_exclude(arena, 2, 20);
    const bool refused = os::calls_made() - before >= nth;
    os::fail_after(0);
    EXPECT_EQ(arena.stats().pages_excluded, done ? 20U : 0U);
    family.expect_intact();
    if (!done) {
      family.expect_to_go_on();
      EXPECT_TRUE(try_to_exclude(arena, 2, 20));
    }
    family.painted.paint_run(0, Family::pages, 6);
    family.expect_intact();
    Picture kept = family.painted.picture();
    for (std::size_t page = 2; page < 22; ++page) kept[page] = 0;
    EXPECT_TRUE(shows(arena.snapshot(), kept)) << "call " << nth;
    if (!refused) break;
  }
}

TEST_P(RefusedExclude, leaves_all_right_where_every_call_fails_from_some_moment_on) {
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    Family family(make_arena(Family::pages));
    Arena& arena = family.painted.arena();
    os::fail_by_chance(seed, seed % 4 + 1);
    const bool done = try_to_exclude(arena, 2, 20);
    os::fail_by_chance(0, 0);
    EXPECT_EQ(arena.stats().pages_excluded, done ? 20U : 0U) << "seed " << seed;
    family.expect_intact();
    if (!done) family.expect_to_go_on();
    family.painted.paint_run(0, Family::pages, 6);
    family.expect_intact();
  }
}

TEST_P(RefusedExclude, of_a_clone_that_inherits_makes_no_clone) {
  Family family(make_arena(Family::pages));
  Arena& arena = family.painted.arena();
  arena.exclude(page_at(arena, 2), 20 * page_size());
  const Snapshot kept = arena.snapshot();
  for (std::int64_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 200);
    os::fail_after(nth);
    const std::int64_t before = os::calls_made();
    bool made = true;
    try {
      const Arena clone = kept.clone();
      EXPECT_EQ(mark_of(clone, 2), 0U);
    } catch (const std::system_error&) {
      made = false;
    }
    const bool refused = os::calls_made() - before >= nth;
    os::fail_after(0);
    family.expect_intact();
    if (made && !refused) break;
  }
}

TEST_P(RefusedExclude, loses_no_store_of_another_thread) {
  constexpr std::size_t pages = 16;
  for (int round = 0; round < 8; ++round) {
    Arena arena = quiet_arena(GetParam(), pages);
    const Snapshot kept = arena.snapshot();
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 0);
    std::atomic<bool> stop{false}, started{false};
    std::uint64_t stored = 0;
    std::thread writer([&] {
      for (std::uint64_t value = 1; !stop.load(std::memory_order_relaxed); ++value) {
        for (std::size_t page = 4; page < 8; ++page) store_word(page_at(arena, page), value);
        stored = value;
        started.store(true, std::memory_order_relaxed);
      }
    });
    while (!started.load(std::memory_order_relaxed)) std::this_thread::yield();
    arena.exclude(page_at(arena, 4), 4 * page_size());
    stop.store(true, std::memory_order_relaxed);
    writer.join();
    for (std::size_t page = 4; page < 8; ++page) ASSERT_EQ(mark_of(arena, page), stored) << "round " << round;
    EXPECT_EQ(mark_of(kept, 5), 0U);
  }
}

}  // namespace
}  // namespace cow::test

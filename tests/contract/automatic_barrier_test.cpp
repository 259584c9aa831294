// Promises of Barrier::automatic: it changes to the barrier that would have cost least for what the arena is used for,
// also where that is rolling back again and again, or writing in long runs; and never leaves threads with the barrier
// whose faults wait for each other.
#include <cstdint>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 8192;

class Automatic : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  }
  static Arena make() {
    Arena arena = quiet_arena(Barrier::automatic, pages);
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
    return arena;
  }
  /// Writes sixteenth after sixteenth of the arena, a snapshot each, until the barrier is another one.
  static void write_in_runs(Arena& arena) {
    constexpr std::size_t run = pages / 16;
    for (std::uint64_t cut = 0; cut < 200 && arena.barrier() == Barrier::kernel; ++cut) {
      for (std::size_t page = 0; page < run; ++page) put_mark(arena, cut % 16 * run + page, cut);
      (void)arena.snapshot();
    }
  }
};

/// How many cuts it takes until the barrier is another one.
int cuts_until_changed(Arena& arena, std::size_t written, int most) {
  const Barrier before = arena.barrier();
  for (int cut = 0; cut < most; ++cut) {
    for (std::size_t page = 0; page < written; ++page) put_mark(arena, (page * 61 + 7) % page_count(arena), 2);
    (void)arena.snapshot();
    if (arena.barrier() != before) return cut + 1;
  }
  return most;
}

Arena filled_arena(std::size_t count) {
  Arena arena(options_for(Barrier::automatic, count));
  for (std::size_t page = 0; page < count; ++page) put_mark(arena, page, 1);
  return arena;
}

// A page of 256 MiB: the walk over all of them costs a dozen times what the fault would, and the change a thousand.
TEST_F(Automatic, soon_leaves_the_kernel_barrier_where_next_to_nothing_is_written) {
  if (under_sanitizer) GTEST_SKIP() << "too much memory";
  Arena arena = filled_arena(65536);
  const int cuts = cuts_until_changed(arena, 1, 400);
  EXPECT_LT(cuts, 12);
  EXPECT_GT(cuts, 3);
  EXPECT_EQ(arena.stats().barrier_changes, 1U);
  const int back = cuts_until_changed(arena, 3000, 400);
  EXPECT_LT(back, 30);
  EXPECT_EQ(arena.barrier(), Barrier::kernel);
}

TEST_F(Automatic, stays_where_little_and_much_are_written_in_turns) {
  if (under_sanitizer) GTEST_SKIP() << "too much memory";
  Arena arena = filled_arena(65536);
  for (int turn = 0; turn < 8; ++turn) {
    (void)cuts_until_changed(arena, 1000, 3);
    (void)cuts_until_changed(arena, 1, 20);
  }
  EXPECT_EQ(arena.stats().barrier_changes, 0U);
}

/// All of the cuts, whatever the barrier becomes meanwhile.
void write_and_cut(Arena& arena, std::size_t written, int cuts) {
  for (int cut = 0; cut < cuts; ++cut) {
    for (std::size_t page = 0; page < written; ++page) put_mark(arena, (page * 61 + 7) % page_count(arena), 2);
    (void)arena.snapshot();
  }
}

// The first choice is a guess, which is corrected quickly; what comes after that takes its grounds.
TEST_F(Automatic, corrects_its_first_guess_once_where_little_and_much_are_written_in_turns) {
  if (under_sanitizer) GTEST_SKIP() << "too much memory";
  Arena arena = filled_arena(65536);
  for (int turn = 0; turn < 24; ++turn) {
    write_and_cut(arena, 1, 20);
    write_and_cut(arena, 1000, 3);
  }
  EXPECT_GE(arena.stats().barrier_changes, 1U);
  EXPECT_LE(arena.stats().barrier_changes, 2U);
}

TEST_F(Automatic, leaves_the_kernel_barrier_where_the_same_pages_are_rolled_back_again_and_again) {
  Arena arena = make();
  ASSERT_EQ(arena.barrier(), Barrier::kernel);
  const Snapshot start = arena.snapshot();
  int loops = 0;
  for (; loops < 3000 && arena.barrier() == Barrier::kernel; ++loops) {
    for (std::size_t page = 5; page < pages; page += 512) put_mark(arena, page, 2);
    arena.rollback(start);
    ASSERT_EQ(mark_of(arena, 5), 1U);
  }
  EXPECT_NE(arena.barrier(), Barrier::kernel);
  EXPECT_GT(loops, 4);
  EXPECT_EQ(arena.stats().barrier_changes, 1U);
  for (int i = 0; i < 50; ++i) {
    for (std::size_t page = 5; page < pages; page += 512) put_mark(arena, page, 2);
    arena.rollback(start);
  }
  for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(arena, page), 1U);
  EXPECT_NE(arena.barrier(), Barrier::kernel);
}

TEST_F(Automatic, takes_mprotect_where_long_runs_are_written) {
  Arena arena = make();
  write_in_runs(arena);
  EXPECT_EQ(arena.barrier(), Barrier::mprotect);
  for (std::uint64_t cut = 0; cut < 16; ++cut) {
    (void)arena.snapshot();
    for (std::size_t page = 0; page < 512; ++page) put_mark(arena, page, cut);
  }
  EXPECT_EQ(arena.barrier(), Barrier::mprotect);
}

TEST_F(Automatic, stops_going_back_and_forth_where_no_choice_lasts) {
  Arena arena = make();
  constexpr std::size_t run = pages / 16;
  for (int round = 0; round < 40; ++round) {
    for (std::uint64_t cut = 0; cut < 6; ++cut) {
      for (std::size_t page = 0; page < run; ++page) put_mark(arena, cut * run + page, cut);
      (void)arena.snapshot();
    }
    for (std::uint64_t cut = 0; cut < 6; ++cut) {
      for (std::size_t page = cut; page < pages; page += 13) put_mark(arena, page, cut);
      (void)arena.snapshot();
    }
  }
  EXPECT_LT(arena.stats().barrier_changes, 12U);
}

TEST_F(Automatic, leaves_mprotect_when_there_are_threads) {
  if (!is_available(Barrier::userfaultfd)) GTEST_SKIP() << "userfaultfd is not available here";
  ArenaOptions options = options_for(Barrier::automatic, pages);
  Arena arena(options);
  if (arena.barrier() != Barrier::kernel) GTEST_SKIP() << "this process has threads already";
  for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
  write_in_runs(arena);
  ASSERT_EQ(arena.barrier(), Barrier::mprotect);
  std::thread([&] {
    put_mark(arena, 4, 77);
    const Snapshot cut = arena.snapshot();
    EXPECT_EQ(arena.barrier(), Barrier::userfaultfd);
    put_mark(arena, 4, 78);
    EXPECT_EQ(mark_of(cut, 4), 77U);
  }).join();
  const Snapshot one = arena.snapshot();
  for (std::size_t page = 0; page < pages; page += 3) put_mark(arena, page, 80);
  EXPECT_EQ(mark_of(one, 4), 78U);
  EXPECT_EQ(mark_of(arena, 3), 80U);
}

}  // namespace
}  // namespace cow::test

// Promises of the kernel barrier: no write is caught and no system call fails; a cut that is not quiet changes the arena
// to a barrier with signals; a gate keeps cuts quiet; the fault profile has its signals; what is not written for long
// takes no second memory; automatic changes where the other kind costs less.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/io_ring.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"
#include "support/vm_flags.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;

class KernelBarrier : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  }
  static Arena make(bool quiet_cuts = false, Barrier barrier = Barrier::kernel, std::size_t count = pages) {
    ArenaOptions options = options_for(barrier, count);
    options.quiet_cuts = quiet_cuts;
    return Arena(options);
  }
};

TEST_F(KernelBarrier, catches_no_write) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  const Snapshot one = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  const Snapshot two = arena.snapshot();
  fill_run(arena, 8, 8, 3);
  EXPECT_TRUE(shows(one, Picture(pages, 1)));
  EXPECT_TRUE(shows(two, Picture(pages, 2)));
  EXPECT_EQ(arena.stats().faults(), 0U);
}

TEST_F(KernelBarrier, lets_system_calls_write_to_any_page_at_any_time) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  for (std::size_t page = 0; page < pages; ++page) {
    ASSERT_EQ(::getrandom(page_at(arena, page), page_size(), 0), static_cast<ssize_t>(page_size()));
  }
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "abc", 3), 3);
  const Snapshot between = arena.snapshot();
  ASSERT_EQ(::read(ends[0], page_at(arena, 10) - 2, 3), 3);  // across two pages
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_TRUE(shows(before, Picture(pages, 1)));
  EXPECT_EQ(arena.changed_since(between), (std::vector<PageRange>{{9, 2}}));
  arena.rollback(before);
  EXPECT_TRUE(shows(arena, Picture(pages, 1)));
}

// The kernel holds the front itself: gone from the arena, it would go on taking what is read, for nobody.
TEST_F(KernelBarrier, keeps_the_fronts_of_prepared_buffers_however_cold_and_rolled_back) {
  IoRing own;
  if (!own) GTEST_SKIP() << "io_uring is not to be had here";
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  Snapshot last = arena.snapshot();
  arena.prepare_write(page_at(arena, 2), page_size());
  if (!own.register_buffer(page_at(arena, 2), page_size())) GTEST_SKIP() << "the kernel pins no memory here";
  for (std::uint64_t cut = 0; cut < 100; ++cut) {
    put_mark(arena, 7, cut + 2);
    last = arena.snapshot();
    if (cut < 20 && cut % 10 == 0) put_mark(arena, 2, 1), arena.rollback(last);
  }
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "new", 3), 3);
  arena.prepare_write(page_at(arena, 2), page_size());
  ASSERT_TRUE(own.begin_read(ends[0], page_at(arena, 2), 3, true));
  ASSERT_EQ(own.wait(), 3);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EQ(std::memcmp(page_at(arena, 2), "new", 3), 0);
  char seen[3];
  arena.snapshot().read(2 * page_size(), std::as_writable_bytes(std::span(seen)));
  EXPECT_EQ(std::memcmp(seen, "new", 3), 0);
  EXPECT_EQ(mark_of(last, 2), 1U);
}

// The exception: a page that the kernel holds pinned is written past the page table.
TEST_F(KernelBarrier, learns_of_pinned_buffers_by_prepare_write_alone) {
  IoRing ring;
  if (!ring) GTEST_SKIP() << "io_uring is not to be had here";
  for (const bool prepared : {false, true}) {
    Arena arena = make(true);
    fill_run(arena, 0, pages, 1);
    const Snapshot before = arena.snapshot();
    IoRing own;
    arena.prepare_write(page_at(arena, 2), page_size());
    if (!own.register_buffer(page_at(arena, 2), page_size())) GTEST_SKIP() << "the kernel pins no memory here";
    const Snapshot cut = arena.snapshot();
    if (prepared) arena.prepare_write(page_at(arena, 2), page_size());
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::write(ends[1], "new", 3), 3);
    ASSERT_TRUE(own.begin_read(ends[0], page_at(arena, 2), 3, true));
    ASSERT_EQ(own.wait(), 3);
    ::close(ends[0]);
    ::close(ends[1]);
    const Snapshot after = arena.snapshot();
    char seen[3];
    after.read(2 * page_size(), std::as_writable_bytes(std::span(seen)));
    EXPECT_EQ(std::memcmp(page_at(arena, 2), "new", 3), 0);
    EXPECT_EQ(std::memcmp(seen, "new", 3) == 0, prepared);
    EXPECT_TRUE(shows(cut, Picture(pages, 1)));
  }
}

TEST_F(KernelBarrier, gives_way_to_signals_at_a_cut_that_is_not_quiet) {
  Arena arena = make();
  ASSERT_EQ(arena.barrier(), Barrier::kernel);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  Team team;
  std::atomic<std::uint64_t> written{0};
  team.keep_doing([&] { store_word(page_at(arena, written.fetch_add(1) % pages), 2); });
  while (written.load() < 2 * pages) std::this_thread::yield();
  const Snapshot beside = arena.snapshot();
  EXPECT_NE(arena.barrier(), Barrier::kernel);
  EXPECT_EQ(arena.stats().barrier_changes, 1U);
  EXPECT_TRUE(shows(before, Picture(pages, 1)));
  const std::uint64_t then = mark_of(beside, 5);
  for (int i = 0; i < 20; ++i) (void)arena.snapshot();
  EXPECT_EQ(arena.stats().barrier_changes, 1U);
  EXPECT_EQ(mark_of(beside, 5), then);
}

TEST_F(KernelBarrier, stays_where_quiet_cuts_are_promised) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  std::thread([&] { fill_run(arena, 0, 32, 2); }).join();
  const Snapshot before = arena.snapshot();
  std::thread([&] { fill_run(arena, 0, pages, 3); }).join();
  const Snapshot after = arena.snapshot();
  EXPECT_EQ(arena.barrier(), Barrier::kernel);
  EXPECT_EQ(mark_of(before, 31), 2U);
  EXPECT_EQ(mark_of(before, 32), 1U);
  EXPECT_TRUE(shows(after, Picture(pages, 3)));
}

TEST_F(KernelBarrier, is_kept_by_a_gate_that_all_writers_pass) {
  UpdateGate gate;
  ArenaOptions options = options_for(Barrier::kernel, pages);
  options.gate = &gate;
  Arena arena(options);
  Team team;
  for (int writer = 0; writer < 2; ++writer) {
    team.keep_doing([&] {
      const UpdateGate::Updating updating(gate);
      for (std::size_t page = 0; page < pages; ++page) add_to_word(page_at(arena, page), 1);
    });
  }
  for (const Until time; time;) {
    const Snapshot cut = arena.snapshot();
    const std::uint64_t sum = mark_of(cut, 0);
    for (std::size_t page = 1; page < pages; ++page) ASSERT_EQ(mark_of(cut, page), sum) << "an update is cut in half";
  }
  EXPECT_EQ(arena.barrier(), Barrier::kernel);
}

#if !defined(NDEBUG)
TEST_F(KernelBarrier, finds_a_broken_promise_in_builds_with_assertions) {
  Arena arena = make(true, Barrier::kernel, 4096);
  fill_run(arena, 0, 4096, 1);
  (void)arena.snapshot();
  Team team;
  team.keep_doing([&] {
    for (std::size_t page = 0; page < 4096; ++page) store_word(page_at(arena, page), 2);
  });
  bool found = false;
  for (const Until time(std::chrono::seconds(60)); time && !found;) {
    try {
      (void)arena.snapshot();
    } catch (const std::logic_error&) {
      found = true;
    }
  }
  EXPECT_TRUE(found);
}
#endif

TEST_F(KernelBarrier, lends_the_fault_profile_a_barrier_with_signals) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  fill_run(arena, 0, 8, 2);
  start_fault_profile({.every = 1});
  EXPECT_NE(arena.barrier(), Barrier::kernel);
  EXPECT_NE(std::string(arena.stats().barrier_reason).find("profile"), std::string::npos);
  const Arena made_meanwhile = make();
  EXPECT_NE(made_meanwhile.barrier(), Barrier::kernel);
  fill_run(arena, 8, 8, 3);
  stop_fault_profile();
  EXPECT_GT(fault_profile().faults, 0U);
  const Snapshot after = arena.snapshot();
  EXPECT_EQ(arena.barrier(), Barrier::kernel);
  EXPECT_TRUE(shows(before, Picture(pages, 1)));
  EXPECT_EQ(mark_of(after, 7), 2U);
  EXPECT_EQ(mark_of(after, 15), 3U);
  fill_run(arena, 0, pages, 4);
  EXPECT_EQ(mark_of(after, 15), 3U);
}

// Such pages are open when the barrier changes.
TEST_F(KernelBarrier, takes_over_pages_that_were_copied_ahead) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  std::vector<Snapshot> all;
  std::uint64_t mark = 10;
  for (int turn = 0; turn < 3; ++turn) {
    start_fault_profile({.every = 1});
    for (int round = 0; round < 12; ++round) {
      put_mark(arena, 5, mark++);
      all.push_back(arena.snapshot());
    }
    stop_fault_profile();
    for (int round = 0; round < 12; ++round) {
      put_mark(arena, 5, mark++);
      all.push_back(arena.snapshot());
    }
    ASSERT_EQ(arena.barrier(), Barrier::kernel);
  }
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(mark_of(all[i], 5), 10 + i);
}

TEST_F(KernelBarrier, takes_no_second_memory_for_what_is_not_written_for_long) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  Snapshot last = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  last = arena.snapshot();
  EXPECT_EQ(account_memory(arena).front_bytes, pages * page_size());
  for (std::uint64_t i = 0; i < 80; ++i) {
    put_mark(arena, 3, i);
    last = arena.snapshot();
  }
  EXPECT_LE(account_memory(arena).front_bytes, 2 * page_size());
  EXPECT_EQ(mark_of(last, 3), 79U);
  EXPECT_EQ(mark_of(arena, 9), 2U);
}

// Elsewhere this changes nothing.
TEST_F(KernelBarrier, takes_MADV_DONTNEED_for_going_back_to_the_last_cut) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  fill_run(arena, 0, 8, 2);
  ASSERT_EQ(::madvise(arena.data(), arena.capacity(), MADV_DONTNEED), 0);
  EXPECT_TRUE(shows(arena, Picture(pages, 1)));
}

TEST_F(KernelBarrier, leaves_arenas_out_of_core_dumps_that_are_to_be_left_out) {
  ArenaOptions options = quiet_options_for(Barrier::kernel, 2048);
  options.in_core_dumps = false;
  Arena arena(options);
  for (std::size_t page : {std::size_t{3}, std::size_t{1500}}) {
    fill(arena, page, 1);
    const Snapshot cut = arena.snapshot();
    for (std::size_t at = 0; at < 2048; at += 128) EXPECT_TRUE(mapping_at(page_at(arena, at)).left_out_of_core_dumps());
  }
}

TEST_F(KernelBarrier, keeps_memory_locked_that_was) {
  if (under_sanitizer) GTEST_SKIP() << "the run-times of sanitizers take mlock() away";
  Arena arena = make(true);
  if (::mlock(page_at(arena, 8), 4 * page_size()) != 0) GTEST_SKIP() << "this process may not lock memory";
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  const Snapshot after = arena.snapshot();
  EXPECT_TRUE(mapping_at(page_at(arena, 9)).locked());
}

TEST_F(KernelBarrier, forgets_nothing_that_was_asked_of_the_mapping_when_it_comes_back) {
  if (under_sanitizer) GTEST_SKIP() << "the run-times of sanitizers take mlock() away";
  constexpr std::size_t many = 2048, untouched = 1024;
  ArenaOptions options = quiet_options_for(Barrier::kernel, many);
  options.in_core_dumps = false;
  Arena arena(options);
  fill_run(arena, 0, 8, 1);
  if (::mlock2(page_at(arena, untouched), 4 * page_size(), MLOCK_ONFAULT) != 0) {
    GTEST_SKIP() << "this process may not lock memory";
  }
  const Snapshot before = arena.snapshot();
  start_fault_profile({.every = 1});
  EXPECT_NE(arena.barrier(), Barrier::kernel);
  EXPECT_TRUE(mapping_at(page_at(arena, untouched)).locked());
  stop_fault_profile();
  const Snapshot after = arena.snapshot();
  EXPECT_EQ(arena.barrier(), Barrier::kernel);
  EXPECT_TRUE(mapping_at(page_at(arena, untouched)).locked());
  EXPECT_TRUE(mapping_at(page_at(arena, untouched)).left_out_of_core_dumps());
  EXPECT_TRUE(mapping_at(page_at(arena, 4)).left_out_of_core_dumps());
}

TEST_F(KernelBarrier, makes_clones_that_go_back_to_their_base) {
  Arena arena = make(true);
  fill_run(arena, 0, pages, 1);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  for (std::uint64_t round = 0; round < 5; ++round) {
    fill_run(clone, 0, 32, round + 10);
    fill_run(arena, 16, 32, round + 20);
    clone.rollback(base);
    EXPECT_TRUE(shows(clone, Picture(pages, 1)));
  }
  EXPECT_EQ(account_memory(clone).front_bytes, 0U);
  EXPECT_EQ(clone.stats().pages_private, 0U);
}

TEST_F(KernelBarrier, is_left_by_automatic_where_little_is_written_and_taken_where_much_is) {
  constexpr std::size_t many = 16384;
  Arena arena = make(true, Barrier::automatic, many);
  ASSERT_EQ(arena.barrier(), Barrier::kernel);
  for (std::size_t page = 0; page < many; ++page) put_mark(arena, page, 1);
  Snapshot last = arena.snapshot();
  int cuts = 0;
  for (; cuts < 5000 && arena.barrier() == Barrier::kernel; ++cuts) {
    put_mark(arena, 7, static_cast<std::uint64_t>(cuts));
    last = arena.snapshot();
  }
  EXPECT_NE(arena.barrier(), Barrier::kernel);
  EXPECT_GE(cuts, 4);
  for (cuts = 0; cuts < 100 && arena.barrier() != Barrier::kernel; ++cuts) {
    const std::size_t shift = 977 * static_cast<std::size_t>(cuts);
    for (std::size_t page = 0; page < many; page += 17) put_mark(arena, (page + shift) % many, 3);
    last = arena.snapshot();
  }
  EXPECT_EQ(arena.barrier(), Barrier::kernel);
  EXPECT_GE(cuts, 4);
  EXPECT_EQ(arena.stats().barrier_changes, 2U);
}

// A process that has changed its user may not look at its own page table.
COW_CHILD_BODY(no_pagemap) {
  (void)argument;
  if (::setresuid(65534, 65534, 65534) != 0) return 3;
  try {
    const Arena arena(options_for(Barrier::kernel, 4));
    return 2;
  } catch (const std::system_error& error) {
    if (std::string(error.what()).find("pagemap") == std::string::npos) return 1;
  }
  const Arena arena(options_for(Barrier::automatic, 4));
  return arena.barrier() == Barrier::kernel ? 4 : 0;
}

TEST_F(KernelBarrier, says_that_the_page_table_is_what_it_lacks) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const ChildResult result = run_child("no_pagemap");
  if (result.exited_with(2)) GTEST_SKIP() << "the page table can be read here all the same";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

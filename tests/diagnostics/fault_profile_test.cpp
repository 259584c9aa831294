// Promise: the fault profile tells each fault, who caused it and what it cost, in memory that is bounded.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/fault_profile.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {

/// Not in an unnamed namespace, not inlined and not renamed: the profile must show these names.
constexpr std::uint32_t line_of_one_place = __LINE__ + 2;
__attribute__((noinline)) void write_in_one_place(const Arena& arena, std::size_t page) {
  *reinterpret_cast<volatile std::uint64_t*>(page_at(arena, page)) = 1;
}
__attribute__((noinline)) void write_in_another_place(const Arena& arena, std::size_t page) {
  *reinterpret_cast<volatile std::uint64_t*>(page_at(arena, page) + 8) = 2;
}
constexpr std::uint32_t line_of_inlined_place = __LINE__ + 2;
__attribute__((always_inline)) inline void write_as_part_of_the_caller(const Arena& arena, std::size_t page) {
  *reinterpret_cast<volatile std::uint64_t*>(page_at(arena, page) + 16) = 3;
}
constexpr std::uint32_t line_of_its_caller = __LINE__ + 2;
__attribute__((noinline)) void write_by_what_is_inlined(const Arena& arena, std::size_t page) {
  write_as_part_of_the_caller(arena, page);
}

// Each instance is a place of its own in the code.
template <int Depth>
__attribute__((noinline)) void write_from_depth(const Arena& arena, std::size_t page) {
  if constexpr (Depth > 0) {
    write_from_depth<Depth - 1>(arena, page);
  } else {
    write_in_one_place(arena, page);
  }
  asm volatile("" ::: "memory");  // the call above is not the last thing: the frame stays
}

namespace {

std::uint64_t samples_of(const FaultProfile& profile) {
  std::uint64_t sum = profile.dropped;
  for (const ProfiledStack& stack : profile.stacks) sum += stack.samples;
  return sum;
}

std::uint64_t samples_with(const FaultProfile& profile, const std::string& function) {
  std::uint64_t sum = 0;
  for (const ProfiledStack& stack : profile.stacks) {
    const bool there = std::any_of(stack.places.begin(), stack.places.end(), [&](const CodePlace& place) {
      return place.function.find(function) != std::string::npos;
    });
    if (there) sum += stack.samples;
  }
  return sum;
}

const CodePlace* place_named(const FaultProfile& profile, const std::string& function) {
  for (const ProfiledStack& stack : profile.stacks) {
    for (const CodePlace& place : stack.places) {
      if (place.function.find(function) != std::string::npos) return &place;
    }
  }
  return nullptr;
}

/// Every fourth page, so that no neighbours come along.
constexpr std::size_t pages = 512, writes = pages / 4;

class FaultProfiles : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    arena_.emplace(make_arena(pages, "profiled"));
    fill_run(*arena_, 0, pages, 1);
    snapshot_ = arena_->snapshot();
    before_ = arena_->stats();
  }
  void TearDown() override { stop_fault_profile(); }

  const Arena& arena() const { return *arena_; }
  ArenaStats since() const { return arena_->stats().since(before_); }

  std::optional<Arena> arena_;
  Snapshot snapshot_;
  ArenaStats before_;
};
COW_FOR_EVERY_BARRIER(FaultProfiles);

TEST_P(FaultProfiles, with_every_fault_recorded_they_are_those_of_the_statistics) {
  start_fault_profile();
  for (std::size_t i = 0; i < writes; ++i) write_in_one_place(arena(), 4 * i);
  stop_fault_profile();
  const FaultProfile profile = fault_profile();
  const ArenaStats stats = since();
  EXPECT_EQ(stats.faults(), profile.faults);
  EXPECT_EQ(samples_of(profile), profile.faults);
  EXPECT_EQ(profile.dropped, 0U);
  std::uint64_t copied = 0, ns = 0;
  for (const ProfiledStack& stack : profile.stacks) {
    EXPECT_EQ(stack.arena, "profiled");
    copied += stack.pages, ns += stack.ns;
  }
  EXPECT_EQ(copied, stats.pages_to_history + stats.pages_moved);
  EXPECT_EQ(ns, stats.handler_time.total_ns());
}

TEST_P(FaultProfiles, reach_clones_of_an_arena_that_is_gone) {
  arena_.reset();
  start_fault_profile();
  const Arena clone = snapshot_.clone();
  EXPECT_NE(clone.barrier(), Barrier::kernel);
}

/// Reads into the arena's last page by a system call.
bool kernel_may_write_to_last_page(const Arena& arena) {
  int ends[2];
  if (::pipe(ends) != 0 || ::write(ends[1], "x", 1) != 1) return false;
  const bool read = ::read(ends[0], arena.data() + arena.capacity() - page_size(), 1) == 1;
  ::close(ends[0]), ::close(ends[1]);
  return read;
}

// Which is no snapshot.
TEST_P(FaultProfiles, leave_open_what_was_prepared) {
  Arena fresh = make_arena(pages);
  for (Arena* const one : {&*arena_, &fresh}) {
    one->prepare_write(one->data() + one->capacity() - page_size(), page_size());
    start_fault_profile();
    EXPECT_TRUE(kernel_may_write_to_last_page(*one));
    stop_fault_profile();
  }
}

TEST_P(FaultProfiles, switched_off_it_records_nothing) {
  start_fault_profile();
  EXPECT_TRUE(fault_profile_on());
  stop_fault_profile();
  EXPECT_FALSE(fault_profile_on());
  for (std::size_t i = 0; i < writes; ++i) write_in_one_place(arena(), 4 * i);
  const FaultProfile profile = fault_profile();
  EXPECT_GT(since().faults(), 0U);
  EXPECT_EQ(profile.faults, 0U);
  EXPECT_TRUE(profile.stacks.empty());
}

TEST_P(FaultProfiles, every_nth_is_counted_for_n) {
  start_fault_profile({.every = 8});
  for (std::size_t i = 0; i < writes; ++i) write_in_one_place(arena(), 4 * i);
  const FaultProfile profile = fault_profile();
  EXPECT_EQ(profile.faults, since().faults());
  EXPECT_EQ(samples_of(profile), (profile.faults + 7) / 8);
  EXPECT_NE(to_text(profile).find("from one in 8"), std::string::npos);
}

TEST_P(FaultProfiles, starting_again_forgets) {
  start_fault_profile();
  write_in_one_place(arena(), 0);
  start_fault_profile();
  write_in_another_place(arena(), 100);
  const FaultProfile profile = fault_profile();
  EXPECT_EQ(samples_of(profile), 1U);
}

TEST_P(FaultProfiles, threads_are_all_counted) {
  start_fault_profile();
  constexpr std::size_t threads = 4;
  {
    std::vector<std::jthread> writers;
    for (std::size_t t = 0; t < threads; ++t) {
      writers.emplace_back([&, t] {
        for (std::size_t i = t; i < writes; i += threads) write_in_one_place(arena(), 4 * i);
      });
    }
  }
  const FaultProfile profile = fault_profile();
  EXPECT_EQ(profile.faults, since().faults());
  EXPECT_EQ(samples_of(profile), profile.faults);
}

TEST_P(FaultProfiles, it_can_be_stopped_and_started_while_threads_write) {
  std::atomic<bool> done{false};
  std::jthread writer([&] {
    while (!done) {
      for (std::size_t i = 0; i < writes; ++i) write_in_one_place(arena(), 4 * i);
    }
  });
  std::vector<Snapshot> snapshots;
  for (int i = 0; i < 40; ++i) {
    start_fault_profile();
    snapshots.push_back(arena_->snapshot());
    std::this_thread::yield();
    if (i % 2 == 0) stop_fault_profile();
    if (i % 10 == 0) (void)samples_of(fault_profile());
  }
  done = true;
}

/// Without libunwind a stack is one place.
bool sees_callers() {
  Arena arena({.capacity = 4 * page_size()});
  start_fault_profile();
  write_in_one_place(arena, 0);
  stop_fault_profile();
  const FaultProfile profile = fault_profile();
  return !profile.stacks.empty() && profile.stacks[0].places.size() > 2;
}

TEST_P(FaultProfiles, functions_that_wrote_and_their_callers_appear_by_name) {
  if (!sees_callers()) GTEST_SKIP() << "built without libunwind";
  start_fault_profile();
  write_in_one_place(arena(), 0);
  write_in_another_place(arena(), 100);
  write_in_another_place(arena(), 200);
  write_from_depth<3>(arena(), 300);
  const FaultProfile profile = fault_profile();
  EXPECT_EQ(samples_with(profile, "write_in_one_place"), 2U);
  EXPECT_EQ(samples_with(profile, "write_in_another_place"), 2U);
  EXPECT_EQ(samples_with(profile, "write_from_depth<3>"), 1U);
  for (const ProfiledStack& stack : profile.stacks) {
    ASSERT_FALSE(stack.places.empty());
    EXPECT_NE(stack.places.front().function.find("write_in_"), std::string::npos) << stack.places.front().function;
    EXPECT_NE(to_folded(profile).find(";main;"), std::string::npos) << "to the bottom of the stack";
  }
}

TEST_P(FaultProfiles, files_lines_and_inlined_functions_appear_where_debug_information_tells) {
  start_fault_profile();
  write_by_what_is_inlined(arena(), 0);
  write_in_one_place(arena(), 100);
  const FaultProfile profile = fault_profile();
  const CodePlace* const direct = place_named(profile, "write_in_one_place");
  if (direct == nullptr || direct->file.empty()) GTEST_SKIP() << "no debug information, or no libdw";
  EXPECT_TRUE(direct->file.ends_with("fault_profile_test.cpp")) << direct->file;
  EXPECT_EQ(direct->line, line_of_one_place);
  const CodePlace* const inlined = place_named(profile, "write_as_part_of_the_caller");
  ASSERT_NE(inlined, nullptr);
  EXPECT_TRUE(inlined->inlined);
  EXPECT_EQ(inlined->line, line_of_inlined_place);
  const CodePlace* const caller = place_named(profile, "write_by_what_is_inlined");
  ASSERT_NE(caller, nullptr);
  EXPECT_FALSE(caller->inlined);
  EXPECT_EQ(caller->line, line_of_its_caller);
}

TEST_P(FaultProfiles, stacks_beyond_the_bound_are_dropped_and_counted) {
  if (!sees_callers()) GTEST_SKIP() << "built without libunwind";
  start_fault_profile({.every = 1, .most_stacks = 2});
  write_in_one_place(arena(), 0);
  write_from_depth<1>(arena(), 40);
  write_from_depth<2>(arena(), 80);
  write_from_depth<3>(arena(), 120);
  write_in_one_place(arena(), 160);
  const FaultProfile profile = fault_profile();
  EXPECT_EQ(profile.stacks.size(), 2U);
  EXPECT_EQ(samples_of(profile), 5U);
  EXPECT_GE(profile.dropped, 2U);
  EXPECT_NE(to_text(profile).find("dropped"), std::string::npos);
}

TEST_P(FaultProfiles, a_stack_deeper_than_what_is_kept_is_cut_and_says_so) {
  if (!sees_callers()) GTEST_SKIP() << "built without libunwind";
  start_fault_profile();
  write_from_depth<200>(arena(), 0);
  const FaultProfile profile = fault_profile();
  ASSERT_EQ(profile.stacks.size(), 1U);
  EXPECT_TRUE(profile.stacks[0].cut);
  EXPECT_GE(profile.stacks[0].places.size(), 96U);
  EXPECT_NE(to_folded(profile).find("profiled;(deeper);"), std::string::npos);
}

/// Runs the call in a thread whose handlers run on an alternate stack of the size, and tells how much of that they
/// used.
template <class Call>
std::size_t alternate_stack_used(std::size_t size, Call&& call) {
  std::vector<std::byte> memory(size, std::byte{0x5a});
  std::thread([&] {
    stack_t stack = {};
    stack.ss_sp = memory.data(), stack.ss_size = memory.size();
    ::sigaltstack(&stack, nullptr);
    call();
  }).join();
  const auto touched = std::find_if(memory.begin(), memory.end(), [](std::byte b) { return b != std::byte{0x5a}; });
  return static_cast<std::size_t>(memory.end() - touched);
}

TEST_P(FaultProfiles, the_handler_needs_no_more_stack_than_it_says) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  std::size_t page = 0;
  const auto write = [&] { write_from_depth<30>(arena(), page += 4); };
  constexpr std::size_t plenty = 128 * 1024;
  const std::size_t without = alternate_stack_used(plenty, write);
  start_fault_profile();
  const std::size_t with = alternate_stack_used(plenty, write);
  std::cout << "a handler used " << without << " bytes, recording " << with << '\n';
  EXPECT_GT(without, 500U);
  EXPECT_LE(with, without + 8 * 1024);
}

TEST_P(FaultProfiles, arenas_are_told_apart_by_name) {
  Arena other = make_arena(16, "other");
  start_fault_profile();
  write_in_one_place(arena(), 0);
  write_in_one_place(other, 0);
  const std::string folded = to_folded(fault_profile());
  EXPECT_NE(folded.find("profiled;"), std::string::npos);
  EXPECT_NE(folded.find("other;"), std::string::npos);
}

TEST_P(FaultProfiles, a_forked_child_can_profile_arenas_of_its_own) {
  start_fault_profile();
  const ChildResult child = run_forked([&] {
    const Arena own(options_for(GetParam(), 16));
    start_fault_profile();
    write_in_one_place(own, 3);
    stop_fault_profile();
    return static_cast<int>(samples_of(fault_profile()));
  });
  EXPECT_TRUE(child.exited_with(1)) << child.how();
}

}  // namespace
}  // namespace cow::test

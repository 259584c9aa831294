// Promise: under a RefuseWrites, a store through a pointer of the original that a clone's thread took along is told in
// one line and is deadly; what others store, and what comes after, passes.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include <sys/syscall.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/deaths.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/refuse_memory.hpp"
#include "support/small_arena.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 32;
constexpr int went_on = 3;  // exit code of a child that survived its mistake

Barrier barrier_named(const std::string& name) {
  for (const Barrier barrier : every_barrier())
    if (name == name_of(barrier)) return barrier;
  return Barrier::automatic;
}

Arena original(const std::string& barrier) {
  die_by_signal();
  Arena arena(options_for(barrier_named(barrier), pages, "original"));
  fill_run(arena, 0, pages, 1);
  return arena;
}

COW_CHILD_BODY(store_from_a_clones_thread) {
  Arena arena = original(argument);
  std::thread([&arena, clone = arena.clone()] {
    const RefuseWrites guard(arena);
    put_mark(clone, 5, 2);
    put_mark(arena, 5, 2);
  }).join();
  return went_on;
}

// Without threads such pages are copied ahead and stay open.
COW_CHILD_BODY(store_to_a_page_that_is_written_again_and_again) {
  Arena arena = original(argument);
  Snapshot kept;
  for (std::uint64_t round = 0; round < 12; ++round) {
    put_mark(arena, 5, round);
    kept = arena.snapshot();
  }
  if (!arena.ref().is_writable(page_at(arena, 5))) return 1;
  const RefuseWrites guard(arena);
  put_mark(arena, 5, 2);
  return went_on;
}

COW_CHILD_BODY(store_where_nobody_may) {
  Arena arena = original(argument);
  const RefuseWrites guard(arena, RefuseWrites::By::all_threads);
  std::thread([&arena] { put_mark(arena, 5, 2); }).join();
  return went_on;
}

// A page that was never written, in an arena without any snapshot.
COW_CHILD_BODY(store_to_a_page_without_memory) {
  die_by_signal();
  Arena arena(options_for(barrier_named(argument), pages, "original"));
  const RefuseWrites guard(arena);
  put_mark(arena, 5, 2);
  return went_on;
}

struct Case {
  const char* body;
  const char* says;
};
void PrintTo(const Case& of, std::ostream* out) { *out << of.body; }

class RefusedWrite : public testing::TestWithParam<std::tuple<Case, Barrier>> {};

TEST_P(RefusedWrite, is_told_in_one_line_and_is_deadly) {
  const auto& [what, barrier] = GetParam();
  if (!is_available(barrier)) GTEST_SKIP() << "this barrier is not available here";
  const ChildResult result = run_child(what.body, name_of(barrier));
  EXPECT_TRUE(result.died_by(SIGSEGV) || result.died_by(SIGBUS)) << result.how();
  const std::string& text = result.error_text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find(" in arena \"original\", page 5: a RefuseWrites says that "), std::string::npos) << text;
  EXPECT_NE(text.find(what.says), std::string::npos) << text;
}

constexpr Case cases[] = {
    {"store_from_a_clones_thread", "this thread works on a clone: use the same place there, clone.at(arena, pointer)"},
    {"store_to_a_page_that_is_written_again_and_again", "this thread works on a clone"},
    {"store_where_nobody_may", "nobody stores here: use the same place in a clone, clone.at(arena, pointer)"},
    {"store_to_a_page_without_memory", "this thread works on a clone"},
};
INSTANTIATE_TEST_SUITE_P(Mistakes, RefusedWrite,
                         testing::Combine(testing::ValuesIn(cases), testing::ValuesIn(every_barrier())),
                         [](const auto& which) {
                           return std::string(std::get<0>(which.param).body) + "_" + name_of(std::get<1>(which.param));
                         });

class RefuseWritesTest : public BarrierTest {};
COW_FOR_EVERY_BARRIER(RefuseWritesTest);

TEST_P(RefuseWritesTest, lets_other_threads_the_clone_and_other_arenas_be_written) {
  Arena arena = make_arena(pages), other = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  const Arena clone = arena.clone();
  const RefuseWrites guard(arena);
  std::thread([&] { fill_run(arena, 0, pages, 2); }).join();
  fill_run(clone, 0, pages, 3);
  fill_run(other, 0, pages, 4);
  EXPECT_TRUE(shows(arena, Picture(pages, 2)));
  EXPECT_TRUE(shows(clone, Picture(pages, 3)));
  EXPECT_TRUE(shows(other, Picture(pages, 4)));
}

TEST_P(RefuseWritesTest, ends_with_its_scope_in_any_order) {
  Arena arena = make_arena(pages);
  auto first = std::make_unique<RefuseWrites>(arena);
  auto second = std::make_unique<RefuseWrites>(arena, RefuseWrites::By::all_threads);
  first.reset();
  second.reset();
  fill_run(arena, 0, pages, 1);
  EXPECT_TRUE(shows(arena, Picture(pages, 1)));
}

TEST_P(RefuseWritesTest, may_outlive_its_arena_and_leaves_the_next_one_alone) {
  auto first = std::make_unique<Arena>(make_arena(pages));
  const RefuseWrites guard(*first, RefuseWrites::By::all_threads);
  first.reset();
  const Arena next = make_arena(pages);  // in the slot of the first, most likely
  fill_run(next, 0, pages, 1);
  EXPECT_TRUE(shows(next, Picture(pages, 1)));
}

TEST_P(RefuseWritesTest, lets_calls_of_the_arena_pass) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  const RefuseWrites guard(arena);
  const std::uint64_t value = 2;
  arena.write(page_at(arena, 3), &value, sizeof value);
  EXPECT_EQ(mark_of(arena, 3), 2U);
  arena.rollback(before);
  EXPECT_TRUE(shows(arena, Picture(pages, 1)));
}

TEST_P(RefuseWritesTest, that_cannot_begin_leaves_the_arena_as_it_was) {
  Arena arena = make_arena(pages);
  std::int64_t nth = 1;
  for (bool began = false; !began && nth < 20; ++nth) {
    fill_run(arena, 0, pages, 1);
    os::fail_after(nth);
    try {
      const RefuseWrites guard(arena);
      began = true;
    } catch (const std::system_error&) {
    }
    os::fail_after(0);
    fill_run(arena, 0, pages, 2);
    ASSERT_TRUE(shows(arena, Picture(pages, 2))) << "after call " << nth;
  }
  EXPECT_GT(nth, 2) << "nothing was refused";
}

constexpr int no_filters = 4;

// The filter is the first thread's alone: it cannot protect page 0, while the other one stores elsewhere.
COW_CHILD_BODY(begin_in_vain_beside_a_thread_that_stores) {
  Arena arena = original(argument);
  std::atomic<std::uint64_t> rounds{0};
  std::thread([&] { (void)arena.snapshot(); }).join();
  put_mark(arena, 0, 2);
  Team team;
  team.keep_doing([&] {
    arena.discard(page_at(arena, 1), (pages - 1) * page_size());
    for (std::size_t page = 1; page < pages; ++page) put_mark(arena, page, rounds.load() + 2);
    ++rounds;
  });
  while (rounds.load() < 3) std::this_thread::yield();
  constexpr std::uint32_t protecting[] = {SYS_mprotect, SYS_ioctl};
  if (!refuse_calls_from_now_on(protecting, ENOMEM)) return no_filters;
  int refused = 0;
  for (const Until time; time;) {
    try {
      const RefuseWrites guard(arena, RefuseWrites::By::all_threads);
    } catch (const std::system_error&) {
      ++refused;
    }
  }
  team.stop();
  CHECK_IN_CHILD(refused > 0);
  put_mark(arena, 3, 1);
  return 0;
}

// What is stored meanwhile is no mistake: nobody has been told that storing is one.
TEST_P(RefuseWritesTest, that_cannot_begin_has_refused_nothing) {
  const ChildResult result = run_child("begin_in_vain_beside_a_thread_that_stores", name_of(GetParam()));
  if (result.exited_with(no_filters)) GTEST_SKIP() << "this process may have no filters for its calls";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

// Promise: a child after fork() cannot harm its parent's arenas: not by stores, not by destructors, not by calls.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stdexcept>
#include <typeinfo>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/family.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

class ForkedChild : public BarrierTest {
 protected:
  template <class Call>
  void expect_harmless(Call&& call) {
    Family family(make_arena(Family::pages));
    const ChildResult result = run_forked([&] { return call(family); });
    EXPECT_FALSE(result.timed_out) << result.how();
    family.expect_intact();
    family.expect_to_go_on();
  }
};
COW_FOR_EVERY_BARRIER(ForkedChild);

// It may die of these, or write to memory of its own.
TEST_P(ForkedChild, that_stores_into_protected_pages_harms_nobody) {
  expect_harmless([](Family& family) {
    fill(family.painted.arena(), 1, 66);
    return 0;
  });
}

TEST_P(ForkedChild, that_stores_into_writable_pages_harms_nobody) {
  expect_harmless([](Family& family) {
    fill(family.painted.arena(), 8, 66);
    return 0;
  });
}

TEST_P(ForkedChild, that_stores_into_pages_never_written_harms_nobody) {
  expect_harmless([](Family& family) {
    fill(family.painted.arena(), 30, 66);
    return 0;
  });
}

TEST_P(ForkedChild, that_stores_into_a_clone_harms_nobody) {
  expect_harmless([](Family& family) {
    fill_run(family.clone->arena(), 0, Family::pages, 66);
    return 0;
  });
}

// Pages that the parent moved since the last snapshot are mappings made anew.
TEST_P(ForkedChild, that_stores_into_pages_that_moved_harms_nobody) {
  expect_harmless([](Family& family) {
    fill(family.clone->arena(), 6, 66);
    fill(family.clone->arena(), 15, 66);
    return 0;
  });
}

TEST_P(ForkedChild, that_drops_everything_harms_nobody) {
  expect_harmless([](Family& family) {
    family.view = View();
    family.first = Snapshot();
    family.second = Snapshot();
    family.clone.reset();
    const Arena gone = std::move(family.painted.arena());
    return 0;
  });
}

TEST_P(ForkedChild, that_copies_and_drops_handles_harms_nobody) {
  expect_harmless([](Family& family) {
    const std::vector<Snapshot> copies(10, family.first);
    family.first = family.second;
    return 0;
  });
}

TEST_P(ForkedChild, gets_a_clear_error_from_every_use) {
  Family family(make_arena(Family::pages));
  const ChildResult result = run_forked([&family] {
    Arena& arena = family.painted.arena();
    Bytes out(page_size());
    const std::vector<std::function<void()>> uses = {
        [&] { (void)arena.snapshot(); },
        [&] { (void)arena.clone(); },
        [&] { arena.rollback(family.first); },
        [&] { arena.prepare_write(arena.data(), 1); },
        [&] { arena.discard(arena.data(), page_size()); },
        [&] { (void)arena.changed_since(family.first); },
        [&] { (void)arena.stats(); },
        [&] { (void)family.first.clone(); },
        [&] { (void)family.first.view(); },
        [&] { family.first.read(0, out); },
    };
    int number = 1;
    for (const auto& use : uses) {
      try {
        use();
        return number;
      } catch (const std::exception& error) {
        if (typeid(error) != typeid(std::logic_error)) return 100 + number;
      }
      ++number;
    }
    return 0;
  });
  EXPECT_TRUE(result.exited_with(0)) << "the use with this number gave no error, or another one: " << result.how();
  family.expect_intact();
  family.expect_to_go_on();
}

// Locks that other threads hold at the moment of fork() are held for ever in the child: it must not want them.
TEST_P(ForkedChild, of_a_program_with_running_writers_ends_in_time) {
  Family family(make_arena(Family::pages));
  Team team;
  std::uint64_t number = 0;
  team.keep_doing([&] {
    ++number;
    for (std::size_t page = 24; page < Family::pages; ++page) store_word(page_at(family.painted.arena(), page), number);
  });
  team.keep_doing([&] { const Snapshot passing = family.painted.arena().snapshot(); });
  for (int round = 0; round < (under_sanitizer ? 10 : 30); ++round) {
    const ChildResult result = run_forked([&] {
      family.view = View();
      family.first = Snapshot();
      family.clone.reset();
      const Arena gone = std::move(family.painted.arena());
      return 0;
    });
    ASSERT_TRUE(result.exited_with(0)) << result.how();
  }
  team.stop();
  EXPECT_TRUE(family.clone->is_right());
  EXPECT_TRUE(shows(family.first, Family::first_picture()));
}

TEST_P(ForkedChild, that_becomes_another_program_is_none_of_our_business) {
  Family family(make_arena(Family::pages));
  char program[] = "true";
  char* const arguments[] = {program, nullptr};
  pid_t pid = -1;
  ASSERT_EQ(::posix_spawnp(&pid, program, nullptr, nullptr, arguments, environ), 0);
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  family.expect_intact();
}

// -- A child that leaves by exit(), which runs the destructors of static objects --------------------------------

std::optional<Family>& static_family() {
  static std::optional<Family> family;
  return family;
}

COW_CHILD_BODY(parent_of_a_child_that_exits) {
  const Barrier barrier = argument == name_of(Barrier::userfaultfd) ? Barrier::userfaultfd : Barrier::mprotect;
  static_family().emplace(Arena(options_for(barrier, Family::pages)));
  const pid_t pid = ::fork();
  if (pid == 0) std::exit(0);  // NOLINT(concurrency-mt-unsafe): one thread
  int status = -1;
  ::waitpid(pid, &status, 0);
  static_family()->expect_intact();
  static_family()->expect_to_go_on();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return 2;
  return testing::Test::HasFailure() ? 1 : 0;
}

TEST_P(ForkedChild, that_leaves_by_exit_harms_nobody) {
  const ChildResult result = run_child("parent_of_a_child_that_exits", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

COW_CHILD_BODY(parent_of_a_child_that_stores) {
  ::signal(SIGSEGV, SIG_DFL);
  Arena arena(options_for(Barrier::mprotect, Family::pages));
  fill_run(arena, 0, 4, 1);
  const Snapshot snapshot = arena.snapshot();
  const pid_t pid = ::fork();
  if (pid == 0) {
    fill(arena, 0, 2);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  const bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
  const bool went_on = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return (died || went_on) && filled(page_at(arena, 0), 1) ? 0 : 1;
}

TEST(ForkedChildOnItsOwn, dies_by_segmentation_fault_or_writes_to_memory_of_its_own) {
  const ChildResult result = run_child("parent_of_a_child_that_stores");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

// Promise: the handler is where it belongs for as long as arenas, clones and snapshots are made, whoever takes it away
// in between, and however it is put back.
#include <csignal>
#include <cstdint>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cow/cow.hpp"
#include "guest/barrier_argument.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

const int both_signals[] = {SIGSEGV, SIGBUS};

struct Actions {
  struct sigaction of_segv, of_bus;
};
Actions actions_now() {
  Actions now{};
  ::sigaction(SIGSEGV, nullptr, &now.of_segv);
  ::sigaction(SIGBUS, nullptr, &now.of_bus);
  return now;
}
void put_back(const Actions& actions) {
  ::sigaction(SIGSEGV, &actions.of_segv, nullptr);
  ::sigaction(SIGBUS, &actions.of_bus, nullptr);
}

/// A store to the first page, which a snapshot protects.
bool store_is_caught(Arena& arena, const Snapshot& snapshot) {
  const std::uint64_t before = mark_of(snapshot, 0);
  put_mark(arena, 0, before + 1);
  return mark_of(arena, 0) == before + 1 && mark_of(snapshot, 0) == before;
}

// What test frameworks do round each test: at its end they restore what they found at its start.
COW_CHILD_BODY(a_snapshot_puts_it_back) {
  const Actions found = actions_now();
  Arena arena(options_for(barrier_named(argument), 16));
  for (int round = 0; round < 20; ++round) {
    put_back(found);
    CHECK_IN_CHILD(store_is_caught(arena, arena.snapshot()));
  }
  return 0;
}

COW_CHILD_BODY(a_new_arena_puts_it_back) {
  const Actions found = actions_now();
  Arena arena(options_for(barrier_named(argument), 16));
  const Snapshot snapshot = arena.snapshot();
  put_back(found);
  const Arena other(options_for(barrier_named(argument), 1));
  CHECK_IN_CHILD(store_is_caught(arena, snapshot));
  return 0;
}

COW_CHILD_BODY(a_clone_puts_it_back) {
  const Actions found = actions_now();
  Arena arena(options_for(barrier_named(argument), 16));
  const Snapshot snapshot = arena.snapshot();
  put_back(found);
  const Arena clone = snapshot.clone();
  CHECK_IN_CHILD(store_is_caught(arena, snapshot));
  return 0;
}

COW_CHILD_BODY(a_rollback_puts_it_back) {
  const Actions found = actions_now();
  Arena arena(options_for(barrier_named(argument), 16));
  const Snapshot snapshot = arena.snapshot();
  put_mark(arena, 1, 1);
  put_back(found);
  arena.rollback(snapshot);
  CHECK_IN_CHILD(store_is_caught(arena, snapshot));
  return 0;
}

// What under the kernel barrier wanted no handler so far wants one from here on.
COW_CHILD_BODY(a_fault_profile_puts_it_back) {
  const Actions found = actions_now();
  Arena arena(options_for(barrier_named(argument), 16));
  const Snapshot snapshot = arena.snapshot();
  put_back(found);
  start_fault_profile();
  CHECK_IN_CHILD(store_is_caught(arena, snapshot));
  stop_fault_profile();
  return 0;
}

COW_CHILD_BODY(a_fork_puts_it_back) {
  const Actions found = actions_now();
  Arena arena(options_for(barrier_named(argument), 16));
  const Snapshot snapshot = arena.snapshot();
  std::thread([] {}).join();  // cuts are not quiet from here on
  put_back(found);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  CHECK_IN_CHILD(::waitpid(child, nullptr, 0) == child);
  CHECK_IN_CHILD(store_is_caught(arena, snapshot));
  return 0;
}

// signal() knows no flags: what it returns and takes again comes back without SA_SIGINFO, and without a mask.
COW_CHILD_BODY(a_probe_by_signal_leaves_it_in_working_order) {
  Arena arena(options_for(barrier_named(argument), 16));
  for (int round = 0; round < 3; ++round) {  // written more often, the page would stay writable
    const Snapshot snapshot = arena.snapshot();
    for (const int signo : both_signals) ::signal(signo, ::signal(signo, SIG_IGN));
    CHECK_IN_CHILD(store_is_caught(arena, snapshot));  // the same address each time: the last record is there still
    const Actions now = actions_now();                 // the fault put back what it came by
    CHECK_IN_CHILD(((now.of_segv.sa_flags | now.of_bus.sa_flags) & SA_SIGINFO) != 0);
  }
  return 0;
}

// A snapshot puts it back as well; a foreign fault must not go round in a circle then.
COW_CHILD_BODY(it_is_never_its_own_predecessor) {
  ::signal(SIGSEGV, SIG_DFL);
  ForeignPage nobodys;
  Arena arena(options_for(barrier_named(argument), 16));
  for (const int signo : both_signals) ::signal(signo, ::signal(signo, SIG_IGN));
  CHECK_IN_CHILD(store_is_caught(arena, arena.snapshot()));
  ::alarm(20);
  nobodys.word() = 1;
  return 2;
}

class HandlerKept : public BarrierTest {};
COW_FOR_EVERY_BARRIER(HandlerKept);

TEST_P(HandlerKept, by_each_arena_clone_snapshot_rollback_profile_and_fork) {
  for (const char* const body : {"a_snapshot_puts_it_back", "a_new_arena_puts_it_back", "a_clone_puts_it_back",
                                 "a_rollback_puts_it_back", "a_fault_profile_puts_it_back", "a_fork_puts_it_back"}) {
    const ChildResult result = run_child(body, name_of(GetParam()));
    EXPECT_TRUE(result.exited_with(0)) << body << ": " << result.how();
  }
}

TEST_P(HandlerKept, when_signal_has_put_it_back_without_its_flags) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer is who calls our handler, with what signal() asks for";
  const ChildResult result = run_child("a_probe_by_signal_leaves_it_in_working_order", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(HandlerKept, and_is_never_its_own_predecessor) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's report takes the signal's place";
  const ChildResult result = run_child("it_is_never_its_own_predecessor", name_of(GetParam()));
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
}

// -- A handler that jumps out ---------------------------------------------------------------------------------------

sigjmp_buf behind_the_jump;
volatile std::sig_atomic_t jumps = 0;

void jump_out(int) {
  jumps = jumps + 1;
  siglongjmp(behind_the_jump, 1);
}

[[gnu::noinline]] int raise_from_deeper(int depth) {
  volatile char frame[3000];
  for (volatile char& byte : frame) byte = static_cast<char>(depth);
  if (depth == 0) return ::raise(SIGSEGV);
  return raise_from_deeper(depth - 1) + frame[0];
}

// What the handler leaves behind lies at another place of the frames above each time, also in their holes.
constexpr int shifts = 220;

[[gnu::noinline]] void fault_below(int bytes, const ForeignPage& nobodys) {
  volatile char* const space = static_cast<char*>(__builtin_alloca(static_cast<std::size_t>(bytes) + 1));
  *space = 1;
  nobodys.word() = 1;
}

// What it left behind must not make later signals pass for ones that it raised again.
COW_CHILD_BODY(signals_after_a_jump_from_less_deep) {
  struct sigaction action = {};
  action.sa_handler = jump_out;
  ::sigaction(SIGSEGV, &action, nullptr);
  ForeignPage nobodys;
  Arena arena = small_arena();
  for (static int shift = 0; shift < shifts; ++shift) {
    if (sigsetjmp(behind_the_jump, 1) == 0) fault_below(shift * 16, nobodys);
    static int round;
    for (round = 0; round < 5; ++round) {
      if (sigsetjmp(behind_the_jump, 1) == 0) (void)raise_from_deeper(10 + round);
    }
    CHECK_IN_CHILD(jumps == 6);
    jumps = 0;
  }
  return 0;
}

TEST(JumpingHandler, gets_each_signal_raised_later) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers call handlers in their own way";
  const ChildResult result = run_child("signals_after_a_jump_from_less_deep");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

// -- A handler of a framework's kind -------------------------------------------------------------------------------

// Catch2 and doctest do this: put back what was there, report, raise the signal again.
struct sigaction found_by_framework;
volatile std::sig_atomic_t reports = 0;

void report_and_raise(int signo) {
  ::sigaction(signo, &found_by_framework, nullptr);
  reports = reports + 1;
  if (reports > 10) ::_exit(4);
  ::raise(signo);
}

void framework_begins() {
  struct sigaction action = {};
  action.sa_handler = report_and_raise;
  action.sa_flags = SA_ONSTACK;
  ::sigaction(SIGSEGV, &action, &found_by_framework);
}

COW_CHILD_BODY(a_bad_access_in_a_test_of_a_framework) {
  ::signal(SIGSEGV, SIG_DFL);
  ForeignPage nobodys;
  if (argument == "framework first") framework_begins();
  Arena arena = small_arena();
  if (argument == "arena first") framework_begins();
  const Snapshot snapshot = arena.snapshot();  // puts the handler on top of the framework's
  if (!arena_works(arena)) return 1;
  nobodys.word() = 1;
  return 3;
}

TEST(FrameworksHandler, reports_a_bad_access_and_then_the_signal_is_deadly) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's report takes the signal's place";
  for (const char* const order : {"framework first", "arena first"}) {
    const ChildResult result = run_child("a_bad_access_in_a_test_of_a_framework", order);
    EXPECT_TRUE(result.died_by(SIGSEGV)) << order << ": " << result.how();
  }
}

}  // namespace
}  // namespace cow::test

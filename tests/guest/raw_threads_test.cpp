// Promise: a thread that was made by the system call alone, and has all of another thread's thread-locals, is a thread
// of its own for the library.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "cow/cow.hpp"
#include "faults/registry.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

alignas(16) char raw_threads_stack[1 << 18];
std::atomic<bool> begun{false}, stored{false};

int store_once(void* word) {
  begun = true;
  *static_cast<volatile std::uint64_t*>(word) = 2;
  stored = true;
  return 0;
}

COW_CHILD_BODY(a_raw_thread_stores_while_the_lock_is_held) {
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 16));
  put_mark(arena, 3, 1);
  const Snapshot snapshot = arena.snapshot();
  {
    const FaultLockGuard guard(fault_registry::find(arena.data())->lock);
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    CHECK_IN_CHILD(::clone(store_once, raw_threads_stack + sizeof raw_threads_stack, flags, page_at(arena, 3)) != -1);
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK_IN_CHILD(!stored);
  }
  while (!stored) std::this_thread::yield();
  CHECK_IN_CHILD(mark_of(arena, 3) == 2 && mark_of(snapshot, 3) == 1);
  return 0;
}

// A mistake of the library's own, or a source of write() that went away: a line, and no waiting for ever.
COW_CHILD_BODY(a_thread_stores_under_its_own_lock) {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 16));
  put_mark(arena, 3, 1);
  const Snapshot snapshot = arena.snapshot();
  ::alarm(20);
  const FaultLockGuard guard(fault_registry::find(arena.data())->lock);
  put_mark(arena, 3, 2);
  return 1;
}

class RawThread : public BarrierTest {};
COW_FOR_EVERY_BARRIER(RawThread);

TEST_P(RawThread, waits_for_a_lock_like_any_other) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to know each thread";
  const ChildResult result = run_child("a_raw_thread_stores_while_the_lock_is_held", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(RawThread, is_told_from_the_one_that_holds_the_lock) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's report takes the signal's place";
  const ChildResult result = run_child("a_thread_stores_under_its_own_lock", name_of(GetParam()));
  EXPECT_FALSE(WIFEXITED(result.wait_status)) << result.how();
  EXPECT_NE(result.error_text.find("the library itself was at work"), std::string::npos) << result.how();
}

}  // namespace
}  // namespace cow::test

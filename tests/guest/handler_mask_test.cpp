// Promise: who had the signal before us is called with the mask that the kernel would have set, and may leave as if we
// were not there: by a jump or by an exception.
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <stdexcept>

#include <gtest/gtest.h>
#include <sys/time.h>
#include <unistd.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

ForeignPage* foreign = nullptr;
volatile std::sig_atomic_t rings = 0;
sigjmp_buf way_out;

sigset_t mask_now() {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return mask;
}

int count_blocked(const sigset_t& mask) {
  int count = 0;
  for (int signo = 1; signo < SIGRTMAX; ++signo) count += sigismember(&mask, signo) == 1 ? 1 : 0;
  return count;
}

void ring(int) { rings = rings + 1; }

void wait_for_a_ring() {
  ::signal(SIGALRM, ring);
  itimerval soon{};
  soon.it_value.tv_usec = 1000;
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  for (int i = 0; i < 2000 && rings == 0; ++i) ::usleep(1000);
}

volatile std::sig_atomic_t blocked_inside = -1, usr2_inside = -1;

void note_the_mask(int, siginfo_t*, void*) {
  const sigset_t mask = mask_now();
  blocked_inside = count_blocked(mask);
  usr2_inside = sigismember(&mask, SIGUSR2);
  wait_for_a_ring();
  foreign->open();
}

COW_CHILD_BODY(nothing_of_ours_is_blocked_inside) {
  ForeignPage page;
  foreign = &page;
  set_handler(note_the_mask, 0, SIGUSR1);
  Arena arena = small_arena();
  sigset_t interrupted;
  sigemptyset(&interrupted);
  sigaddset(&interrupted, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &interrupted, nullptr);
  page.word() = 1;
  CHECK_IN_CHILD(usr2_inside == 1);
  CHECK_IN_CHILD(blocked_inside == 3);  // SIGSEGV itself, SIGUSR1 by its own mask, and the interrupted SIGUSR2
  CHECK_IN_CHILD(rings == 1);
  const sigset_t after = mask_now();
  CHECK_IN_CHILD(count_blocked(after) == 1 && sigismember(&after, SIGUSR2) == 1);
  return arena_works(arena) ? 0 : 2;
}

void jump_out(int, siginfo_t*, void*) { siglongjmp(way_out, 1); }

/// A jump that leaves the mask alone: what was blocked in their handler stays blocked.
COW_CHILD_BODY(nothing_of_ours_stays_blocked_after_a_jump) {
  ForeignPage page;
  set_handler(jump_out, SA_NODEFER, SIGUSR1);
  Arena arena = small_arena();
  if (sigsetjmp(way_out, 0) == 0) {
    page.word() = 1;
    return 2;
  }
  const sigset_t after = mask_now();
  CHECK_IN_CHILD(count_blocked(after) == 1 && sigismember(&after, SIGUSR1) == 1);
  return arena_works(arena) ? 0 : 3;
}

void throw_out(int, siginfo_t*, void*) { throw std::runtime_error("a bad access"); }
void throw_out_plainly(int) { throw std::runtime_error("a bad access"); }

/// This file is compiled with -fnon-call-exceptions: a store may throw.
[[gnu::noinline]] bool store_is_caught(const ForeignPage& page) {
  try {
    page.word() = 1;
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

bool caught_again_and_again() {
  ForeignPage page;
  Arena arena = small_arena();
  for (int round = 0; round < 20; ++round) {
    if (!store_is_caught(page) || count_blocked(mask_now()) != 0 || !arena_works(arena)) return false;
  }
  return true;
}

COW_CHILD_BODY(what_they_throw_is_caught) {
  set_handler(throw_out, SA_NODEFER);
  return caught_again_and_again() ? 0 : 1;
}

COW_CHILD_BODY(what_they_throw_is_caught_without_siginfo) {
  set_handler(throw_out_plainly, SA_NODEFER);
  return caught_again_and_again() ? 0 : 1;
}

class WhoCameBefore : public testing::TestWithParam<const char*> {};

TEST_P(WhoCameBefore, is_called_as_by_the_kernel) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer calls handlers from frames and under masks of its own";
  const ChildResult result = run_child(GetParam());
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}
INSTANTIATE_TEST_SUITE_P(Handlers, WhoCameBefore,
                         testing::Values("nothing_of_ours_is_blocked_inside",
                                         "nothing_of_ours_stays_blocked_after_a_jump", "what_they_throw_is_caught",
                                         "what_they_throw_is_caught_without_siginfo"),
                         [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace cow::test

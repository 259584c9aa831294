// Promise: faults that are not ours reach the handler that had SIGSEGV before, as if we were not there.
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <string_view>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

// What the predecessor was given. One fault at a time. No bool among them: gcc's UBSan reads those as if not volatile.
ForeignPage* foreign = nullptr;
volatile int calls = 0;
void* volatile seen_address = nullptr;
volatile int seen_signal = 0;
volatile std::sig_atomic_t seen_context = 0;
volatile std::sig_atomic_t usr1_was_blocked = 0;
volatile std::sig_atomic_t segv_was_blocked = 0;
sigjmp_buf way_out;

void note_and_open(int signo, siginfo_t* info, void* context) {
  calls = calls + 1;
  seen_signal = signo;
  seen_address = info->si_addr;
  seen_context = context != nullptr;
  usr1_was_blocked = is_blocked(SIGUSR1);
  segv_was_blocked = is_blocked(SIGSEGV);
  errno = EBADMSG;
  foreign->open();
}

void open_plainly(int signo) {
  calls = calls + 1;
  seen_signal = signo;
  foreign->open();
}

void jump_out(int, siginfo_t*, void*) {
  calls = calls + 1;
  siglongjmp(way_out, 1);
}

COW_CHILD_BODY(predecessor_with_siginfo) {
  ForeignPage page;
  foreign = &page;
  set_handler(note_and_open);
  Arena arena = small_arena();
  CHECK_IN_CHILD(arena_works(arena));
  CHECK_IN_CHILD(calls == 0);
  errno = 0;
  page.word() = 42;
  CHECK_IN_CHILD(calls == 1);
  CHECK_IN_CHILD(seen_signal == SIGSEGV);
  CHECK_IN_CHILD(seen_address == page.address());
  CHECK_IN_CHILD(seen_context);
  CHECK_IN_CHILD(page.word() == 42);
  page.shut();
  CHECK_IN_CHILD(page.word() == 42);  // a read fault
  CHECK_IN_CHILD(calls == 2);
  CHECK_IN_CHILD(arena_works(arena));
  return 0;
}

COW_CHILD_BODY(predecessor_without_siginfo) {
  ForeignPage page;
  foreign = &page;
  set_handler(open_plainly);
  Arena arena = small_arena();
  CHECK_IN_CHILD(arena_works(arena));
  page.word() = 42;
  CHECK_IN_CHILD(calls == 1);
  CHECK_IN_CHILD(seen_signal == SIGSEGV);
  CHECK_IN_CHILD(page.word() == 42);
  CHECK_IN_CHILD(arena_works(arena));
  return 0;
}

COW_CHILD_BODY(predecessor_with_a_mask) {
  ForeignPage page;
  foreign = &page;
  set_handler(note_and_open, 0, SIGUSR1);
  Arena arena = small_arena();
  page.word() = 1;
  CHECK_IN_CHILD(usr1_was_blocked);
  CHECK_IN_CHILD(segv_was_blocked);
  CHECK_IN_CHILD(!is_blocked(SIGUSR1));
  CHECK_IN_CHILD(!is_blocked(SIGSEGV));
  CHECK_IN_CHILD(arena_works(arena));
  return 0;
}

COW_CHILD_BODY(predecessor_with_nodefer) {
  ForeignPage page;
  foreign = &page;
  set_handler(note_and_open, SA_NODEFER);
  Arena arena = small_arena();
  page.word() = 1;
  CHECK_IN_CHILD(calls == 1);
  CHECK_IN_CHILD(!segv_was_blocked);
  CHECK_IN_CHILD(arena_works(arena));
  return 0;
}

// Called once, then the default action: the second foreign fault is deadly.
COW_CHILD_BODY(predecessor_with_resethand) {
  ForeignPage page;
  foreign = &page;
  set_handler(note_and_open, static_cast<int>(SA_RESETHAND));
  Arena arena = small_arena();
  page.word() = 1;
  CHECK_IN_CHILD(calls == 1);
  CHECK_IN_CHILD(arena_works(arena));
  page.shut();
  page.word() = 2;
  return 2;
}

COW_CHILD_BODY(predecessor_jumps_out) {
  ForeignPage page;
  foreign = &page;
  set_handler(jump_out);
  Arena arena = small_arena();
  while (calls < 3) {
    const int before = calls;
    if (sigsetjmp(way_out, 1) == 0) {
      page.word() = 1;
      return 2;
    }
    CHECK_IN_CHILD(calls == before + 1);
    CHECK_IN_CHILD(!is_blocked(SIGSEGV));
    CHECK_IN_CHILD(!is_blocked(SIGUSR1));
    CHECK_IN_CHILD(arena_works(arena));
  }
  return 0;
}

// Our own faults change neither errno nor the mask; the predecessor's may do to errno what they like.
COW_CHILD_BODY(our_faults_leave_no_trace) {
  ForeignPage page;
  foreign = &page;
  set_handler(note_and_open);
  Arena arena = small_arena();
  for (std::uint64_t round = 1; round < 20; ++round) {
    const Snapshot snapshot = arena.snapshot();
    const View view = round % 2 == 0 ? snapshot.view() : View();
    errno = ERANGE;
    put_mark(arena, round % 16, round);
    CHECK_IN_CHILD(errno == ERANGE);
    CHECK_IN_CHILD(!is_blocked(SIGSEGV));
    CHECK_IN_CHILD(!is_blocked(SIGALRM));
  }
  CHECK_IN_CHILD(calls == 0);
  return 0;
}

// A handler without SA_ONSTACK or with it: a thread's alternate stack is there for it.
volatile std::sig_atomic_t ran_on_alternate_stack = 0;
std::byte* alternate_stack = nullptr;
constexpr std::size_t alternate_size = 1 << 17;

void note_the_stack(int, siginfo_t*, void*) {
  const std::byte here{};
  ran_on_alternate_stack = &here >= alternate_stack && &here < alternate_stack + alternate_size;
  foreign->open();
}

COW_CHILD_BODY(predecessor_on_the_alternate_stack) {
  ForeignPage page;
  foreign = &page;
  static std::byte stack[alternate_size];
  alternate_stack = stack;
  stack_t description = {};
  description.ss_sp = stack;
  description.ss_size = sizeof stack;
  CHECK_IN_CHILD(::sigaltstack(&description, nullptr) == 0);
  set_handler(note_the_stack, SA_ONSTACK);
  Arena arena = small_arena();
  CHECK_IN_CHILD(arena_works(arena));
  page.word() = 1;
  CHECK_IN_CHILD(ran_on_alternate_stack);
  return 0;
}

class Predecessor : public testing::TestWithParam<const char*> {};

TEST_P(Predecessor, is_served_as_if_we_were_not_there) {
  if (under_tsan && std::string_view(GetParam()) == "predecessor_with_nodefer") {
    GTEST_SKIP() << tsan_blocks_faults_in_handlers;
  }
  const ChildResult result = run_child(GetParam());
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}
INSTANTIATE_TEST_SUITE_P(Chaining, Predecessor,
                         testing::Values("predecessor_with_siginfo", "predecessor_without_siginfo",
                                         "predecessor_with_a_mask", "predecessor_with_nodefer",
                                         "predecessor_jumps_out", "our_faults_leave_no_trace",
                                         "predecessor_on_the_alternate_stack"),
                         [](const auto& which) { return std::string(which.param); });

TEST(ResetHandler, is_called_once_and_then_the_fault_is_deadly) {
  const ChildResult result = run_child("predecessor_with_resethand");
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
}

}  // namespace
}  // namespace cow::test

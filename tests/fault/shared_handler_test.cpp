// Promise: programs that install handlers of their own, before us or after us, can live with ours.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <typeinfo>

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

ForeignPage* foreign = nullptr;
volatile int foreign_calls = 0;
volatile int resolved = 0;
struct sigaction before_us;

void open_the_page(int, siginfo_t*, void*) {
  foreign_calls = foreign_calls + 1;
  foreign->open();
}

// What a program that owns the handler does.
void try_ours_first(int signo, siginfo_t* info, void* context) {
  if (try_handle(signo, info, context)) {
    resolved = resolved + 1;
    return;
  }
  open_the_page(signo, info, context);
}

// What a library does that is polite and came after us.
void pass_on_to_predecessor(int signo, siginfo_t* info, void* context) {
  foreign_calls = foreign_calls + 1;
  if (foreign_calls > 20) ::_exit(4);  // we call each other in circles
  if (info->si_addr == foreign->address()) return foreign->open();
  before_us.sa_sigaction(signo, info, context);
}

COW_CHILD_BODY(the_first_arena_installs_it) {
  CHECK_IN_CHILD(!fault_handler_installed());
  const Arena arena = small_arena();
  CHECK_IN_CHILD(fault_handler_installed());
  return 0;
}

COW_CHILD_BODY(it_can_be_installed_before_any_arena) {
  install_fault_handler();
  CHECK_IN_CHILD(fault_handler_installed());
  install_fault_handler();
  Arena arena = small_arena();
  CHECK_IN_CHILD(arena_works(arena));
  return 0;
}

COW_CHILD_BODY(it_notices_that_it_was_replaced_and_comes_back) {
  ForeignPage page;
  foreign = &page;
  Arena arena = small_arena();
  CHECK_IN_CHILD(arena_works(arena));
  set_handler(open_the_page);
  CHECK_IN_CHILD(!fault_handler_installed());
  install_fault_handler();
  CHECK_IN_CHILD(fault_handler_installed());
  CHECK_IN_CHILD(arena_works(arena));
  CHECK_IN_CHILD(foreign_calls == 0);
  page.word() = 1;
  CHECK_IN_CHILD(foreign_calls == 1);
  return 0;
}

COW_CHILD_BODY(a_program_that_owns_the_handler_asks_us) {
  ForeignPage page;
  foreign = &page;
  Arena arena = small_arena();
  const Snapshot snapshot = arena.snapshot();
  set_handler(try_ours_first, SA_NODEFER);
  put_mark(arena, 3, 2);
  CHECK_IN_CHILD(mark_of(arena, 3) == 2 && mark_of(snapshot, 3) == 1);
  CHECK_IN_CHILD(resolved == 1);
  CHECK_IN_CHILD(foreign_calls == 0);
  page.word() = 1;
  CHECK_IN_CHILD(foreign_calls == 1);
  CHECK_IN_CHILD(arena_works(arena));  // the snapshot in it puts ours on top again
  CHECK_IN_CHILD(resolved == 1);
  page.shut();
  page.word() = 2;
  CHECK_IN_CHILD(foreign_calls == 2);
  return 0;
}

// It passes faults on to us; we were put back on top of it: a fault of neither must not go round for ever.
COW_CHILD_BODY(two_that_chain_to_each_other_work) {
  ForeignPage page;
  foreign = &page;
  Arena arena = small_arena();
  const Snapshot snapshot = arena.snapshot();
  before_us = set_handler(pass_on_to_predecessor, SA_NODEFER);
  put_mark(arena, 3, 2);
  CHECK_IN_CHILD(mark_of(arena, 3) == 2 && mark_of(snapshot, 3) == 1);
  CHECK_IN_CHILD(foreign_calls == 1);
  foreign_calls = 0;
  install_fault_handler();
  CHECK_IN_CHILD(arena_works(arena));
  CHECK_IN_CHILD(foreign_calls == 0);
  page.word() = 1;
  CHECK_IN_CHILD(foreign_calls == 1);
  return 0;
}

COW_CHILD_BODY(two_that_chain_to_each_other_die) {
  ::signal(SIGSEGV, SIG_DFL);
  ForeignPage page;
  ForeignPage unknown_to_both;
  foreign = &page;
  Arena arena = small_arena();
  before_us = set_handler(pass_on_to_predecessor, SA_NODEFER);
  install_fault_handler();
  unknown_to_both.word() = 1;
  return 3;
}

/// The context of a store. On aarch64 an empty one could be of any access, which counts as one.
ucontext_t context_of_a_store() {
  ucontext_t context = {};
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_ERR] = 6;
#endif
  return context;
}

COW_CHILD_BODY(try_handle_knows_what_is_not_ours) {
  Arena arena = small_arena();
  siginfo_t info = {};
  info.si_signo = SIGSEGV;
  info.si_code = SEGV_ACCERR;
  info.si_addr = &info;
  ucontext_t context = context_of_a_store();
  CHECK_IN_CHILD(!try_handle(SIGSEGV, &info, &context));
  info.si_addr = nullptr;
  CHECK_IN_CHILD(!try_handle(SIGSEGV, &info, &context));
  info.si_addr = arena.data();
  for (const int signo : {SIGUSR1, SIGILL, SIGFPE, SIGTRAP, SIGSYS}) {
    info.si_signo = signo;
    CHECK_IN_CHILD(!try_handle(signo, &info, &context));
  }
  info.si_signo = SIGBUS;
  for (const int code : {BUS_ADRALN, BUS_OBJERR, BUS_MCEERR_AR, BUS_MCEERR_AO}) {
    info.si_code = code;
    CHECK_IN_CHILD(!try_handle(SIGBUS, &info, &context));
  }
  CHECK_IN_CHILD(arena_works(arena));
  return 0;
}

/// A signal for a page that the library left writable, and something else has not.
int deny(int signo, int code) {
  Arena arena = small_arena();
  *arena.data() = std::byte{1};
  ::mprotect(arena.data(), page_size(), PROT_READ);
  siginfo_t info = {};
  info.si_signo = signo;
  info.si_code = code;
  info.si_addr = arena.data();
  return try_handle(signo, &info, nullptr) ? 1 : 0;
}
COW_CHILD_BODY(deny_by_sigsegv) { return deny(SIGSEGV, SEGV_ACCERR); }
COW_CHILD_BODY(deny_by_sigbus) { return deny(SIGBUS, BUS_ADRERR); }

TEST(DeniedPage, is_told_by_its_signal) {
  const ChildResult protection = run_child("deny_by_sigsegv"), memory = run_child("deny_by_sigbus");
  EXPECT_TRUE(protection.exited_with(0)) << protection.how();
  EXPECT_NE(protection.error_text.find("protected by something outside"), std::string::npos) << protection.how();
  EXPECT_TRUE(memory.exited_with(0)) << memory.how();
  EXPECT_NE(memory.error_text.find("page 0: no memory for the page;"), std::string::npos) << memory.how();
}

class SharedHandler : public testing::TestWithParam<const char*> {};
TEST_P(SharedHandler, as_promised) {
  const ChildResult result = run_child(GetParam());
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}
INSTANTIATE_TEST_SUITE_P(Handler, SharedHandler,
                         testing::Values("the_first_arena_installs_it", "it_can_be_installed_before_any_arena",
                                         "it_notices_that_it_was_replaced_and_comes_back",
                                         "a_program_that_owns_the_handler_asks_us", "two_that_chain_to_each_other_work",
                                         "try_handle_knows_what_is_not_ours"),
                         [](const auto& which) { return std::string(which.param); });

TEST(SharedHandlers, that_chain_to_each_other_still_let_a_deadly_fault_be_deadly) {
  const ChildResult result = run_child("two_that_chain_to_each_other_die");
  EXPECT_FALSE(result.timed_out);
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
}

COW_CHILD_BODY(the_sanitizer_keeps_the_signal) {
  try {
    const Arena arena = small_arena();
    return 1;
  } catch (const std::runtime_error& error) {
    return typeid(error) == typeid(std::runtime_error) ? 0 : 2;
  }
}

// AddressSanitizer with handle_segv=2 ignores other handlers silently.
TEST(SharedHandlers, that_a_sanitizer_does_not_share_are_refused_clearly) {
  if (!under_asan) GTEST_SKIP() << "this is about AddressSanitizer";
  const char* const before = std::getenv("ASAN_OPTIONS");
  const std::string restored = before == nullptr ? "" : before;
  ::setenv("ASAN_OPTIONS", (restored + ":handle_segv=2").c_str(), 1);
  const ChildResult result = run_child("the_sanitizer_keeps_the_signal");
  ::setenv("ASAN_OPTIONS", restored.c_str(), 1);
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

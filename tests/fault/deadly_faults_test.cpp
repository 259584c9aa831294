// Promise: faults that nobody handles end the process as they would without us: by SIGSEGV, with the right address.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/foreign_page.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

constexpr int went_on = 3;        // exit code of a child that survived its fault
constexpr int cannot_trace = 77;

void take_default_action() { ::signal(SIGSEGV, SIG_DFL); }

COW_CHILD_BODY(foreign_fault_by_default) {
  take_default_action();
  const Arena arena = small_arena();
  const ForeignPage page;
  page.word() = 1;
  return went_on;
}

COW_CHILD_BODY(foreign_fault_ignored) {
  ::signal(SIGSEGV, SIG_IGN);
  const Arena arena = small_arena();
  const ForeignPage page;
  page.word() = 1;
  return went_on;
}

COW_CHILD_BODY(near_null_pointer_read) {
  take_default_action();
  const Arena arena = small_arena();
  // Not zero: UndefinedBehaviorSanitizer would be first to see that.
  volatile std::uint64_t* volatile nowhere = reinterpret_cast<volatile std::uint64_t*>(std::uintptr_t{64});
  return static_cast<int>(*nowhere & 0) + went_on;
}

// No address comes with this fault (si_code SI_KERNEL on x86-64).
COW_CHILD_BODY(noncanonical_address) {
  take_default_action();
  const Arena arena = small_arena();
  volatile std::uint64_t* volatile nowhere = reinterpret_cast<volatile std::uint64_t*>(std::uintptr_t{1} << 63);
  *nowhere = 1;
  return went_on;
}

COW_CHILD_BODY(arena_is_gone) {
  take_default_action();
  const Arena other = small_arena();
  std::byte* address = nullptr;
  {
    const Arena arena = small_arena();
    address = arena.data();
  }
  *reinterpret_cast<volatile std::uint64_t*>(address) = 1;
  return went_on;
}

// Code in an arena cannot be run: that is no write, and must not be taken for one again and again.
COW_CHILD_BODY(executing_arena_memory) {
  take_default_action();
  Arena arena = small_arena();
  const Snapshot snapshot = arena.snapshot();
  const std::byte* const start = arena.data();
  void (*code)() = nullptr;
  std::memcpy(&code, &start, sizeof code);
  code();
  return went_on;
}

COW_CHILD_BODY(write_into_a_view) {
  take_default_action();
  Arena arena = small_arena();
  const View view = arena.snapshot().view();
  *const_cast<volatile std::byte*>(view.data() + 5 * page_size()) = std::byte{1};
  return went_on;
}

COW_CHILD_BODY(raised_by_default) {
  take_default_action();
  const Arena arena = small_arena();
  ::raise(SIGSEGV);
  return went_on;
}

COW_CHILD_BODY(raised_and_ignored) {
  ::signal(SIGSEGV, SIG_IGN);
  Arena arena = small_arena();
  ::raise(SIGSEGV);
  const Snapshot snapshot = arena.snapshot();
  fill(arena, 3, 2);
  return mark_of(arena, 3) == 2 && mark_of(snapshot, 3) == 1 ? went_on : 1;
}

class Deadly : public testing::TestWithParam<const char*> {};
TEST_P(Deadly, ends_by_segmentation_fault_as_ever) {
  const ChildResult result = run_child(GetParam());
  EXPECT_FALSE(result.timed_out);
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
}
INSTANTIATE_TEST_SUITE_P(Faults, Deadly,
                         testing::Values("foreign_fault_by_default", "foreign_fault_ignored", "near_null_pointer_read",
                                         "noncanonical_address", "arena_is_gone", "executing_arena_memory",
                                         "write_into_a_view", "raised_by_default"),
                         [](const auto& which) { return std::string(which.param); });

TEST(DeadlyFault, that_is_only_raised_is_ignored_where_it_was_before) {
  const ChildResult result = run_child("raised_and_ignored");
  EXPECT_TRUE(result.exited_with(went_on)) << result.how();
}

TEST(DeadlyFault, of_writing_into_a_view_is_told_in_one_line) {
  const ChildResult result = run_child("write_into_a_view");
  EXPECT_EQ(std::count(result.error_text.begin(), result.error_text.end(), '\n'), 1) << result.error_text;
  EXPECT_NE(result.error_text.find("view"), std::string::npos) << result.error_text;
}

TEST(DeadlyFault, that_is_not_ours_is_not_spoken_about) {
  EXPECT_EQ(run_child("foreign_fault_by_default").error_text, "");
}

/// What a debugger sees of the traced process `pid`: the address of its last fault.
struct LastFault {
  void* address = nullptr;
  int stops = 0;
  int wait_status = 0;
};

LastFault watch(pid_t pid) {
  LastFault last;
  while (::waitpid(pid, &last.wait_status, 0) == pid && WIFSTOPPED(last.wait_status)) {
    const int signo = WSTOPSIG(last.wait_status);
    siginfo_t info = {};
    ::ptrace(PTRACE_GETSIGINFO, pid, nullptr, &info);
    if (signo == SIGSEGV) {
      last.address = info.si_addr;
      ++last.stops;
    }
    ::ptrace(PTRACE_CONT, pid, nullptr, reinterpret_cast<void*>(static_cast<std::uintptr_t>(signo)));
  }
  return last;
}

COW_CHILD_BODY(address_of_a_deadly_fault) {
  take_default_action();
  const ForeignPage page;
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(cannot_trace);
    const Arena arena = small_arena();
    page.word() = 1;
    ::_exit(went_on);
  }
  const LastFault last = watch(pid);
  if (WIFEXITED(last.wait_status)) return WEXITSTATUS(last.wait_status);
  return WTERMSIG(last.wait_status) == SIGSEGV && last.address == page.address() ? 0 : 1;
}

TEST(DeadlyFault, leaves_its_address_for_whoever_looks) {
  const ChildResult result = run_child("address_of_a_deadly_fault");
  if (result.exited_with(cannot_trace)) GTEST_SKIP() << "this sandbox allows no ptrace";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

// Races by design: another thread stores right before a chosen kernel call of an operation, which a seccomp filter
// traps. Promise: whichever call that is, the store is either in the arena and in what is taken of it later, or in
// neither.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <type_traits>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::uint32_t let_through = 0x636f7721;  // as the sixth argument, which none of these calls has
constexpr std::uint64_t stored_value = 99;

/// What the two threads know of each other.
struct Moment {
  std::atomic<int> calls{0};
  int chosen = 0;
  std::atomic<bool> go{false}, stored{false};

  /// The writer may have to wait until the operation is done: then so long only.
  void come() {
    if (calls.fetch_add(1) + 1 != chosen) return;
    go.store(true);
    for (const Until waiting(std::chrono::milliseconds(20)); waiting && !stored.load();) std::this_thread::yield();
  }
} moment;

void before_call(int, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  const auto* const r = registers.gregs;
  const long arguments[] = {static_cast<long>(r[REG_RDI]), static_cast<long>(r[REG_RSI]), static_cast<long>(r[REG_RDX]),
                            static_cast<long>(r[REG_R10]), static_cast<long>(r[REG_R8])};
  auto& result = registers.gregs[REG_RAX];
#else
  const auto* const r = registers.regs;
  const long arguments[] = {static_cast<long>(r[0]), static_cast<long>(r[1]), static_cast<long>(r[2]),
                            static_cast<long>(r[3]), static_cast<long>(r[4])};
  auto& result = registers.regs[0];
#endif
  moment.come();
  const long answer = ::syscall(info->si_syscall, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                                static_cast<long>(let_through));
  result = static_cast<std::remove_reference_t<decltype(result)>>(answer == -1 ? -errno : answer);
}

/// From here on this thread's calls that protect or punch pages come to the handler first. False where that is not
/// allowed.
bool trap_calls_of_this_thread() {
  struct sigaction action = {};
  action.sa_sigaction = before_call;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  ::sigaction(SIGSYS, &action, nullptr);
  constexpr auto low_half = static_cast<std::uint32_t>(offsetof(seccomp_data, args[5]));
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low_half),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, let_through, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  const sock_fprog filter = {sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

constexpr std::size_t pages = 16, page_stored_to = 5;
constexpr int no_such_call = 3;
constexpr int cannot_trap = 77;

/// "barrier operation nth".
COW_CHILD_BODY(store_before_a_call) {
  char barrier[32] = "", operation[32] = "";
  std::sscanf(argument.c_str(), "%31s %31s %d", barrier, operation, &moment.chosen);
  const bool discards = std::string(operation) == "discard";
  Arena arena(options_for(std::string(barrier) == "userfaultfd" ? Barrier::userfaultfd : Barrier::mprotect, pages));
  fill_run(arena, 0, pages, 1);
  const Snapshot first = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  std::thread writer([&] {
    while (!moment.go.load()) std::this_thread::yield();
    store_word(page_at(arena, page_stored_to), stored_value);
    moment.stored.store(true);
  });
  if (!trap_calls_of_this_thread()) ::_exit(cannot_trap);
  Snapshot taken;
  if (discards) {
    arena.discard(arena.data(), arena.capacity());
  } else {
    taken = arena.snapshot();
  }
  const bool came = moment.go.load();
  moment.chosen = 0;
  moment.go.store(true);
  writer.join();
  const std::uint64_t now = mark_of(arena, page_stored_to), old = discards ? 0 : 2;
  CHECK_IN_CHILD(now == stored_value || (discards && now == 0));
  if (!discards)
    CHECK_IN_CHILD(mark_of(taken, page_stored_to) == stored_value || mark_of(taken, page_stored_to) == old);
  const Snapshot later = arena.snapshot();
  CHECK_IN_CHILD(mark_of(later, page_stored_to) == now);
  CHECK_IN_CHILD(mark_of(later.view(), page_stored_to) == now);
  CHECK_IN_CHILD(mark_of(later.clone(), page_stored_to) == now);
  CHECK_IN_CHILD(mark_of(first, page_stored_to) == 1);
  return came ? 0 : no_such_call;
}

class BetweenCalls : public BarrierTest {
 protected:
  static void store_before_each_call_of(const std::string& operation) {
    for (int nth = 1; nth < 20; ++nth) {
      const ChildResult result = run_child(
          "store_before_a_call", std::string(name_of(GetParam())) + " " + operation + " " + std::to_string(nth));
      if (result.exited_with(cannot_trap)) GTEST_SKIP() << "this sandbox allows no filters";
      if (result.exited_with(no_such_call)) {
        EXPECT_GT(nth, 1) << "no call was trapped";
        return;
      }
      ASSERT_TRUE(result.exited_with(0)) << "before call " << nth << ": " << result.how();
    }
    FAIL() << "the operation never completes";
  }
};
COW_FOR_EVERY_BARRIER(BetweenCalls);

TEST_P(BetweenCalls, of_discard_a_store_is_in_all_or_in_none) { store_before_each_call_of("discard"); }
TEST_P(BetweenCalls, of_snapshot_a_store_is_in_the_arena_and_whole_or_not_in_the_snapshot) {
  store_before_each_call_of("snapshot");
}

}  // namespace
}  // namespace cow::test

// Race: a fault is looked up while another slot of the registry gets, or loses, a range. Promise: the fault is never
// taken for somebody else's: no slot seems to have more than its range, and one that does all the same is looked at
// again.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include <ucontext.h>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "faults/registry.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;

/// A range above an arena, where nothing is: a slot that has its end and not yet its beginning seems to cover the
/// arena.
struct RangeAbove {
  explicit RangeAbove(const Arena& arena)
      : begin(reinterpret_cast<std::uintptr_t>(arena.data()) + (std::size_t{1} << 40)) {}
  std::uintptr_t begin;
  std::uintptr_t end = begin + page_size();
};

COW_CHILD_BODY(fault_while_a_slot_seems_to_have_the_page) {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  const Barrier barrier = argument == name_of(Barrier::userfaultfd) ? Barrier::userfaultfd : Barrier::mprotect;
  FaultSlot& slot = *fault_registry::take().value;  // before those of the arenas, so that it is looked at first
  Arena arena(options_for(barrier, pages)), other(options_for(barrier, pages));
  put_mark(arena, 3, 1);
  const Snapshot snapshot = arena.snapshot();
  put_mark(other, 3, 1);  // where the fault before was, the registry looks even earlier
  const RangeAbove range(arena);
  std::atomic<bool> half_way{false};
  Team::all_at_once(2, [&](std::size_t index) {
    if (index == 0) {
      const os::AsyncSignalsBlocked blocked;
      FaultLockHeld held(slot.lock);
      slot.generation = os::process_generation();
      slot.end.store(range.end);
      half_way.store(true);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      slot.begin.store(range.begin);
    } else {
      while (!half_way.load()) std::this_thread::yield();
      store_word(page_at(arena, 3), 2);
    }
  });
  CHECK_IN_CHILD(mark_of(arena, 3) == 2);
  CHECK_IN_CHILD(mark_of(snapshot, 3) == 1);
  const os::AsyncSignalsBlocked blocked;
  fault_registry::withdraw(slot);
  fault_registry::give_back(slot);
  return 0;
}

class ChangingRegistry : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ChangingRegistry);

TEST_P(ChangingRegistry, hands_on_no_fault_of_an_arena_that_another_slot_seemed_to_have) {
  const ChildResult result = run_child("fault_while_a_slot_seems_to_have_the_page", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

#if defined(__x86_64__)

/// What is seen after each single instruction: the processor's trap flag.
struct Steps {
  std::atomic<bool> go_on{false};
  const FaultSlot* slot = nullptr;
  std::uintptr_t address = 0;  // of nothing that the slot ever gets
  std::size_t seen = 0, wrong = 0;
} steps;

void look(int, siginfo_t*, void* context) {
  constexpr greg_t trap_flag = 0x100;
  auto& flags = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL];
  flags = steps.go_on.load() ? flags | trap_flag : flags & ~trap_flag;
  ++steps.seen;
  if (steps.slot->contains(steps.address)) ++steps.wrong;
}

TEST(ChangingRegistryStepByStep, gives_no_slot_more_than_its_range_at_any_instruction) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's own instructions are too many, and its signals come late";
  const Arena arena(options_for(Barrier::mprotect, pages));
  FaultSlot& slot = *fault_registry::take().value;
  const RangeAbove range(arena);
  steps.slot = &slot;
  steps.address = reinterpret_cast<std::uintptr_t>(arena.data());
  struct sigaction action = {}, before = {};
  action.sa_sigaction = look;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGTRAP, &action, &before);
  {
    const os::AsyncSignalsBlocked blocked;
    steps.go_on.store(true);
    ::raise(SIGTRAP);
    fault_registry::publish(slot, reinterpret_cast<void*>(range.begin), page_size(), nullptr, nullptr,
                            Access::books(arena));
    fault_registry::withdraw(slot);
    steps.go_on.store(false);
  }
  ::sigaction(SIGTRAP, &before, nullptr);
  fault_registry::give_back(slot);
  EXPECT_GT(steps.seen, 50U);
  EXPECT_EQ(steps.wrong, 0U);
}

#endif

}  // namespace
}  // namespace cow::test

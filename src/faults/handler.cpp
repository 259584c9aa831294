// The path of a fault. Cheapest rejection first: an address that is nobody's costs one walk over the registry.
#include "faults/handler.hpp"

#include <atomic>
#include <cstdint>

#include "books/arena_books.hpp"
#include "faults/bad_access.hpp"
#include "faults/chain.hpp"
#include "faults/context.hpp"
#include "faults/registry.hpp"
#include "kernel/fork_gate.hpp"
#include "kernel/os.hpp"
#include "kernel/tick_clock.hpp"
#include "rule/copy_on_write.hpp"

namespace cow {
namespace {

std::atomic<FaultObserver> fault_observer{nullptr};
std::atomic<BadAccessObserver> bad_access_observer{nullptr};

Verdict unresolvable(const FaultSlot& slot, const void* address, FaultAccess access, const char* why,
                     int error = 0) noexcept {
  bad_access::report(slot, address, access, why, error);
  return Verdict::unresolvable;
}

/// Why this thread must not store to the arena, or null.
const char* refusal_of(const FaultSlot& slot) noexcept COW_FAULT_LOCKED {
  if (slot.refusals == nullptr) return nullptr;
  constexpr const char* by_this_thread =
      "a RefuseWrites says that this thread works on a clone: use the same place there, clone.at(arena, pointer)";
  constexpr const char* by_all =
      "a RefuseWrites says that nobody stores here: use the same place in a clone, clone.at(arena, pointer)";
  const std::uint32_t here = os::thread_id();
  for (const detail::WriteRefusal* refusal = slot.refusals; refusal != nullptr; refusal = refusal->next) {
    if (refusal->thread == here) return by_this_thread;
    if (refusal->thread == detail::WriteRefusal::every_thread) return by_all;
  }
  return nullptr;
}

/// The slot's lock is held and the address is in its range.
Verdict resolve_in_slot(FaultSlot& slot, const siginfo_t* info, FaultAccess access) noexcept COW_FAULT_LOCKED {
  void* const address = info->si_addr;
  if (access == FaultAccess::read) {
    constexpr const char* changed =
        "the page is not readable: something outside the library has changed its protection";
    return unresolvable(slot, address, access, bad_access::reason_from_outside(info, changed));
  }
  if (slot.books == nullptr) {
    return unresolvable(slot, address, access, "a view is read-only; clone the snapshot to write");
  }
  if (const char* const refusal = refusal_of(slot)) return unresolvable(slot, address, access, refusal);
  // To be told before anything maps the page anew, as saving mappings does.
  if (bad_access::is_unmapped(info) && !os::is_mapped(address)) {
    return unresolvable(slot, address, access, bad_access::unmapped);
  }
  ArenaBooks& books = *slot.books;
  const os::Result<Caught> caught = make_writable_for_fault(books, books.page_of(address));
  if (!caught) {
    return unresolvable(slot, address, access, bad_access::reason_of(caught.error), caught.error.code);
  }
  if (caught.value == Caught::writable_before && !os::can_write(address)) {
    constexpr const char* denied = "the page is protected by something outside the library";
    return unresolvable(slot, address, access, bad_access::reason_from_outside(info, denied));
  }
  return Verdict::resolved;
}

/// Then waiting for the lock would be for ever.
bool holds_lock(const FaultSlot& slot, const void* ucontext) noexcept {
  return ucontext != nullptr && interrupted_with_signals_blocked(ucontext) &&
         slot.lock.held_by_this_thread(interrupted_stack(ucontext));
}

FaultCost enter_cost(ArenaBooks& books, std::uint64_t copied_before, std::uint64_t began) noexcept COW_FAULT_LOCKED {
  const std::uint64_t copied = books.made_writable.copied() - copied_before;
  if (copied > 1) books.copied_along += copied - 1;
  const std::uint64_t ns = TickClock::nanoseconds(began, TickClock::now());
  books.handler_time.add(ns);
  return {&books, copied, ns};
}

bool sent_by_someone(const siginfo_t* info) noexcept { return info->si_code <= 0; }

/// Another signal, whose address is that of an instruction, say; a misaligned access or broken memory: nothing that a
/// page's protection could have caused.
bool says_other_than_protection(const siginfo_t* info) noexcept {
  return info->si_signo == SIGBUS ? info->si_code != BUS_ADRERR : info->si_signo != SIGSEGV;
}

/// Takes the slot's lock, when no fork() of another thread wants to see the page as it is. False where the slot has
/// another range by now.
bool resolve_under_lock(FaultSlot& slot, const siginfo_t* info, FaultAccess access, FaultCost& cost,
                        Verdict& verdict) noexcept COW_SIGNALS_BLOCKED {
  const std::uint64_t began = TickClock::now();
  const WriterLockHeld held(slot.lock);
  if (!slot.contains(reinterpret_cast<std::uintptr_t>(info->si_addr))) return false;
  const std::uint64_t copied_before = slot.books == nullptr ? 0 : slot.books->made_writable.copied();
  verdict = resolve_in_slot(slot, info, access);
  if (verdict == Verdict::resolved) cost = enter_cost(*slot.books, copied_before, began);
  return true;
}

/// An address in no arena and no view.
Verdict stray(const siginfo_t* info, FaultAccess access, const void* ucontext) noexcept {
  FaultSlot* const beside = fault_registry::find_guard(info->si_addr);
  const bool may_wait = beside == nullptr || !holds_lock(*beside, ucontext);
  return may_wait && bad_access::report_stray(beside, info, access) ? Verdict::unresolvable : Verdict::not_ours;
}

Verdict resolve_or_report(const siginfo_t* info, void* ucontext) noexcept COW_SIGNALS_BLOCKED {
  if (sent_by_someone(info) || says_other_than_protection(info)) return Verdict::not_ours;
  void* const address = info->si_addr;
  const FaultAccess access = fault_access(ucontext);
  FaultCost cost{};
  Verdict verdict = Verdict::not_ours;
  FaultSlot* slot = nullptr;
  do {  // again where the slot found was just getting, or losing, another range
    slot = fault_registry::find(address);
    if (slot == nullptr) return stray(info, access, ucontext);
    if (slot->generation.load(std::memory_order_relaxed) != os::process_generation()) return Verdict::not_ours;
    if (holds_lock(*slot, ucontext)) {
      constexpr const char* at_work = "the library itself was at work on this arena";
      return unresolvable(*slot, address, access, bad_access::is_unmapped(info) ? bad_access::unmapped : at_work);
    }
  } while (!resolve_under_lock(*slot, info, access, cost, verdict));
  if (verdict != Verdict::resolved) return verdict;
  const FaultObserver observer = fault_observer.load(std::memory_order_acquire);
  if (observer != nullptr) [[unlikely]]
    observer(cost, ucontext);
  return Verdict::resolved;
}

}  // namespace

Verdict resolve_fault(int, siginfo_t* info, void* ucontext) noexcept {
  const Verdict verdict = resolve_or_report(info, ucontext);
  if (verdict == Verdict::unresolvable) {
    const BadAccessObserver observer = bad_access_observer.load(std::memory_order_acquire);
    if (observer != nullptr) observer(ucontext);
  }
  return verdict;
}

void set_bad_access_observer(BadAccessObserver observer) noexcept {
  bad_access_observer.store(observer, std::memory_order_release);
}

void set_fault_observer(FaultObserver observer) noexcept { fault_observer.store(observer, std::memory_order_release); }

namespace {

std::atomic<const struct sigaction*> action_to_put_back{nullptr};

/// signal() puts back handlers, but not their flags: without SA_SIGINFO there is no record of the fault, and without
/// the mask no lock may be taken. Put back as it was, it gets the fault once more when the instruction is repeated.
bool put_back_if_called_plainly(int signo) noexcept {
  const os::ErrnoKept kept;
  const struct sigaction* const whole = action_to_put_back.load(std::memory_order_acquire);
  struct sigaction current {};
  if (whole == nullptr || os::set_action(signo, nullptr, &current)) return false;
  if (!is_our_handler(current) || (current.sa_flags & SA_SIGINFO) != 0) return false;
  return !os::set_action(signo, whole, nullptr);
}

// The mask that the handler was installed with blocks asynchronous signals.
Verdict resolve_keeping_errno(int signo, siginfo_t* info, void* ucontext) noexcept COW_HELD_UNCHECKED {
  const os::ErrnoKept kept;
  return resolve_fault(signo, info, ucontext);
}

}  // namespace

bool is_our_handler(const struct sigaction& action) noexcept {
  const std::uintptr_t handler = (action.sa_flags & SA_SIGINFO) != 0
                                     ? reinterpret_cast<std::uintptr_t>(action.sa_sigaction)
                                     : reinterpret_cast<std::uintptr_t>(action.sa_handler);
  return handler == reinterpret_cast<std::uintptr_t>(&handle_signal);
}

void put_back_when_called_plainly(const struct sigaction& whole) noexcept {
  action_to_put_back.store(&whole, std::memory_order_release);
}

void handle_signal(int signo, siginfo_t* info, void* ucontext) {
  const void* const frame = __builtin_dwarf_cfa();
  if (!record_is_whole(signo, info, ucontext, frame)) [[unlikely]] {
    if (put_back_if_called_plainly(signo)) return;
  }
  if (resolve_keeping_errno(signo, info, ucontext) == Verdict::resolved) return forget_record(info, ucontext, frame);
  pass_on(signo, info, ucontext, frame);
}

}  // namespace cow

// Layer 6: the path of a fault. Cheapest rejection first: an address that is nobody's costs one walk over the registry.
#include "fault_handler.hpp"

#include <atomic>
#include <cstdint>

#include "arena_books.hpp"
#include "barrier.hpp"
#include "copy_on_write.hpp"
#include "fault_chain.hpp"
#include "fault_context.hpp"
#include "fault_registry.hpp"
#include "fault_report.hpp"
#include "os.hpp"
#include "tick_clock.hpp"

namespace cow {
namespace {

std::atomic<FaultObserver> fault_observer{nullptr};

Verdict report(const FaultSlot& slot, const void* address, const char* access, const char* why, int error = 0) noexcept {
  ReportLine line;
  line << "cow: " << access << " at " << address;
  if (slot.books != nullptr) {
    line << " in arena \"" << slot.books->name << "\", page " << slot.books->page_of(address).value;
  }
  line << ": " << why;
  if (error != 0) line << " (errno " << static_cast<std::uint64_t>(error) << ")";
  line.write();
  return Verdict::unresolvable;
}

/// The slot's lock is held and the address is in its range.
Verdict resolve_in_slot(FaultSlot& slot, void* address, FaultAccess access) noexcept {
  if (slot.books == nullptr) return report(slot, address, "write", "a view is read-only; clone the snapshot to write");
  ArenaBooks& books = *slot.books;
  if (access == FaultAccess::read) {
    return report(slot, address, "read", "the page is not readable: something outside the library has changed its protection");
  }
  const Page page = books.page_of(address);
  if (claim_of(books, page) == Claim::none && !os::can_write(address)) {
    return report(slot, address, "write", "the page is protected by something outside the library");
  }
  if (const os::Error error = make_writable_for_fault(books, page)) {
    return report(slot, address, "write", "no memory for the duplicate of the page; raise the limit or write less", error.code);
  }
  return Verdict::resolved;
}

FaultCost enter_cost(ArenaBooks& books, std::uint64_t copied_before, std::uint64_t began) noexcept {
  const std::uint64_t copied = books.made_writable.copied() - copied_before;
  if (copied > 1) books.copied_along += copied - 1;
  const std::uint64_t ns = TickClock::nanoseconds(began, TickClock::now());
  books.handler_time.add(ns);
  return {&books, copied, ns};
}

bool sent_by_someone(const siginfo_t* info) noexcept { return info->si_code <= 0; }

}  // namespace

Verdict resolve_fault(int, siginfo_t* info, void* ucontext) noexcept {
  if (sent_by_someone(info)) return Verdict::not_ours;
  void* const address = info->si_addr;
  FaultSlot* const slot = fault_registry::find(address);
  if (slot == nullptr || slot->generation != os::process_generation()) return Verdict::not_ours;
  if (slot->lock.held_by_this_thread()) {
    if (fault_registry::all_locks_held()) return resolve_in_slot(*slot, address, fault_access(ucontext));
    return report(*slot, address, "access", "the library itself was at work on this arena");
  }
  const std::uint64_t began = TickClock::now();
  FaultCost cost{};
  {
    FaultLockHeld held(slot->lock);
    if (!slot->contains(reinterpret_cast<std::uintptr_t>(address))) return Verdict::not_ours;
    const std::uint64_t copied_before = slot->books == nullptr ? 0 : slot->books->made_writable.copied();
    const Verdict verdict = resolve_in_slot(*slot, address, fault_access(ucontext));
    if (verdict != Verdict::resolved) return verdict;
    cost = enter_cost(*slot->books, copied_before, began);
  }
  const FaultObserver observer = fault_observer.load(std::memory_order_acquire);
  if (observer != nullptr) [[unlikely]]
    observer(cost, ucontext);
  return Verdict::resolved;
}

void set_fault_observer(FaultObserver observer) noexcept { fault_observer.store(observer, std::memory_order_release); }

void handle_signal(int signo, siginfo_t* info, void* ucontext) noexcept {
  const os::ErrnoKept kept;
  if (resolve_fault(signo, info, ucontext) != Verdict::resolved) pass_on(signo, info, ucontext, &kept);
}

}  // namespace cow

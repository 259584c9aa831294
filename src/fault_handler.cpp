// Layer 6: the path of a fault. Cheapest rejection first: an address that is nobody's costs one walk over the registry.
#include "fault_handler.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "arena_books.hpp"
#include "barrier.hpp"
#include "copy_on_write.hpp"
#include "fault_chain.hpp"
#include "fault_context.hpp"
#include "fault_registry.hpp"
#include "fault_report.hpp"
#include "fork_gate.hpp"
#include "gone_ranges.hpp"
#include "os.hpp"
#include "tick_clock.hpp"

namespace cow {
namespace {

std::atomic<FaultObserver> fault_observer{nullptr};
std::atomic<BadAccessObserver> bad_access_observer{nullptr};

const char* word_for(FaultAccess access) noexcept {
  return access == FaultAccess::write ? "write" : access == FaultAccess::read ? "read" : "access";
}

ReportLine begin_line(const void* address, FaultAccess access) noexcept {
  ReportLine line;
  line << "cow: " << word_for(access) << " at " << address;
  return line;
}

Verdict report(const FaultSlot& slot, const void* address, FaultAccess access, const char* why,
               int error = 0) noexcept {
  const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(address) - slot.begin.load(std::memory_order_relaxed);
  ReportLine line = begin_line(address, access);
  line << (slot.books == nullptr ? " in a view of arena \"" : " in arena \"") << slot.name << "\", page ";
  line << offset / os::page_size() << ": " << why;
  if (error != 0) line << " (errno " << static_cast<std::uint64_t>(error) << ")";
  line.write();
  return Verdict::unresolvable;
}

/// A page that the library left accessible: who denies it. SIGBUS there is the kernel's word for a first touch without
/// memory.
const char* reason_from_outside(const siginfo_t* info, const char* protection) noexcept {
  return info->si_signo == SIGBUS ? "no memory for the page; raise the limit or write less" : protection;
}

const char* reason_of(os::Error error) noexcept {
  return error.code == EBADF ? "the program has closed descriptors that it did not open, those of the arena"
                             : "no memory for the duplicate of the page; raise the limit or write less";
}

/// The slot's lock is held and the address is in its range.
Verdict resolve_in_slot(FaultSlot& slot, const siginfo_t* info, FaultAccess access) noexcept {
  void* const address = info->si_addr;
  if (access == FaultAccess::read) {
    return report(slot, address, access,
                  reason_from_outside(
                      info, "the page is not readable: something outside the library has changed its protection"));
  }
  if (slot.books == nullptr) return report(slot, address, access, "a view is read-only; clone the snapshot to write");
  ArenaBooks& books = *slot.books;
  const Page page = books.page_of(address);
  const bool writable_before = claim_of(books, page) == Claim::none;
  if (const os::Error error = make_writable_for_fault(books, page)) {
    return report(slot, address, access, reason_of(error), error.code);
  }
  if (writable_before && !os::can_write(address)) {
    return report(slot, address, access,
                  reason_from_outside(info, "the page is protected by something outside the library"));
  }
  return Verdict::resolved;
}

/// Then waiting for the lock would be for ever.
bool holds_lock(const FaultSlot& slot, const void* ucontext) noexcept {
  return ucontext != nullptr && interrupted_with_signals_blocked(ucontext) &&
         slot.lock.held_by_this_thread(interrupted_stack(ucontext));
}

/// A step beyond an arena or a view: the page there is ours too, and never accessible.
Verdict report_in_guard(FaultSlot& slot, const void* pointer, FaultAccess access, const void* ucontext) noexcept {
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(pointer);
  if (holds_lock(slot, ucontext)) return Verdict::not_ours;
  FaultLockHeld held(slot.lock);
  if (!slot.guards(address)) return Verdict::not_ours;
  const std::uintptr_t begin = slot.begin.load(std::memory_order_relaxed),
                       end = slot.end.load(std::memory_order_relaxed);
  const std::uint64_t distance = address < begin ? begin - address : address - end;
  ReportLine line = begin_line(pointer, access);
  line << ", ";
  if (distance != 0) line << distance << (distance == 1 ? " byte" : " bytes");
  line << (address < begin ? " before the start of " : distance != 0 ? " past the end of " : "at the end of ");
  line << (slot.books == nullptr ? "a view of arena \"" : "arena \"") << slot.name << "\" of "
       << std::uint64_t{end - begin};
  line << " bytes";
  line.write();
  return Verdict::unresolvable;
}

Verdict report_gone(const GoneRange& range, const void* pointer, FaultAccess access) noexcept {
  const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(pointer) - range.begin;
  ReportLine line = begin_line(pointer, access);
  line << (range.view ? " where a view of arena \"" : " where arena \"") << range.name << "\" was, page ";
  line << offset / os::page_size() << (range.view ? ": it has been closed" : ": it has been destroyed");
  line.write();
  return Verdict::unresolvable;
}

/// An address in no arena and no view. Where something is mapped by now, it is the business of whoever mapped it.
Verdict report_stray(const siginfo_t* info, FaultAccess access, const void* ucontext) noexcept {
  FaultSlot* const beside = fault_registry::find_guard(info->si_addr);
  if (beside != nullptr && beside->generation == os::process_generation()) {
    return report_in_guard(*beside, info->si_addr, access, ucontext);
  }
  GoneRange range;
  const bool unmapped = info->si_signo == SIGSEGV && info->si_code == SEGV_MAPERR;
  if (unmapped && gone_ranges::find(info->si_addr, range)) return report_gone(range, info->si_addr, access);
  return Verdict::not_ours;
}

FaultCost enter_cost(ArenaBooks& books, std::uint64_t copied_before, std::uint64_t began) noexcept {
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
                        Verdict& verdict) noexcept {
  const std::uint64_t began = TickClock::now();
  const WriterLockHeld held(slot.lock);
  if (!slot.contains(reinterpret_cast<std::uintptr_t>(info->si_addr))) return false;
  const std::uint64_t copied_before = slot.books == nullptr ? 0 : slot.books->made_writable.copied();
  verdict = resolve_in_slot(slot, info, access);
  if (verdict == Verdict::resolved) cost = enter_cost(*slot.books, copied_before, began);
  return true;
}

Verdict resolve_or_report(const siginfo_t* info, void* ucontext) noexcept {
  if (sent_by_someone(info) || says_other_than_protection(info)) return Verdict::not_ours;
  void* const address = info->si_addr;
  const FaultAccess access = fault_access(ucontext);
  FaultCost cost{};
  Verdict verdict = Verdict::not_ours;
  FaultSlot* slot = nullptr;
  do {  // again where the slot found was just getting, or losing, another range
    slot = fault_registry::find(address);
    if (slot == nullptr) return report_stray(info, access, ucontext);
    if (slot->generation != os::process_generation()) return Verdict::not_ours;
    if (holds_lock(*slot, ucontext)) {
      return report(*slot, address, access, "the library itself was at work on this arena");
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

Verdict resolve_keeping_errno(int signo, siginfo_t* info, void* ucontext) noexcept {
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

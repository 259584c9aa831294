// Bad accesses. See faults/bad_access.hpp.
#include "faults/bad_access.hpp"

#include <cerrno>
#include <cstdint>

#include "faults/gone_ranges.hpp"
#include "faults/report.hpp"

namespace cow::bad_access {
namespace {

const char* word_for(FaultAccess access) noexcept {
  return access == FaultAccess::write ? "write" : access == FaultAccess::read ? "read" : "access";
}

ReportLine begin_line(const void* address, FaultAccess access) noexcept {
  ReportLine line;
  line << "cow: " << word_for(access) << " at " << address;
  return line;
}

/// A step beyond an arena or a view: the page there is ours too, and never accessible.
bool report_in_guard(FaultSlot& slot, const void* pointer, FaultAccess access) noexcept {
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(pointer);
  FaultLockHeld held(slot.lock);
  if (!slot.guards(address)) return false;
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
  return true;
}

void report_gone(const GoneRange& range, const void* pointer, FaultAccess access) noexcept {
  const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(pointer) - range.begin;
  ReportLine line = begin_line(pointer, access);
  line << (range.view ? " where a view of arena \"" : " where arena \"") << range.name << "\" was, page ";
  line << offset / os::page_size() << (range.view ? ": it has been closed" : ": it has been destroyed");
  line.write();
}

}  // namespace

// The slot's lock is held: by this call's caller, or by what the fault has interrupted.
void report(const FaultSlot& slot, const void* address, FaultAccess access, const char* why, int error) noexcept
    COW_HELD_UNCHECKED {
  const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(address) - slot.begin.load(std::memory_order_relaxed);
  ReportLine line = begin_line(address, access);
  line << (slot.books == nullptr ? " in a view of arena \"" : " in arena \"") << slot.name << "\", page ";
  line << offset / os::page_size() << ": " << why;
  if (error != 0) line << " (errno " << static_cast<std::uint64_t>(error) << ")";
  line.write();
}

bool report_stray(FaultSlot* beside, const siginfo_t* info, FaultAccess access) noexcept {
  if (beside != nullptr && beside->generation == os::process_generation()) {
    return report_in_guard(*beside, info->si_addr, access);
  }
  GoneRange range;
  if (!is_unmapped(info) || !gone_ranges::find(info->si_addr, range)) return false;
  report_gone(range, info->si_addr, access);
  return true;
}

bool is_unmapped(const siginfo_t* info) noexcept {
  return info->si_signo == SIGSEGV && info->si_code == SEGV_MAPERR;
}

const char* reason_from_outside(const siginfo_t* info, const char* protection) noexcept {
  return info->si_signo == SIGBUS ? "no memory for the page; raise the limit or write less" : protection;
}

const char* reason_of(os::Error error) noexcept {
  return error.code == EBADF ? "the program has closed descriptors that it did not open, those of the arena"
                             : "no memory for the duplicate of the page; raise the limit or write less";
}

}  // namespace cow::bad_access

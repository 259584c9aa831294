// What is said of an access that cannot be resolved: one line, in the words of whoever has to mend the program. Runs in
// the signal handler.
#pragma once

#include <csignal>

#include "faults/context.hpp"
#include "faults/registry.hpp"
#include "kernel/os.hpp"

namespace cow::bad_access {

/// In an arena or a view, whose lock is held or known to be stuck.
void report(const FaultSlot& slot, const void* address, FaultAccess access, const char* why, int error) noexcept;

/// In no arena and no view: says so where it was one, or is the guard of `beside`, whose lock this thread does not
/// hold; null: there is none near. False where it is nobody's: where something is mapped by now, it is the business of
/// whoever mapped it.
bool report_stray(FaultSlot* beside, const siginfo_t* info, FaultAccess access) noexcept;

/// A page that the library left accessible: who denies it. SIGBUS there is the kernel's word for a first touch without
/// memory.
const char* reason_from_outside(const siginfo_t* info, const char* protection) noexcept;
/// Why a page could not be made writable.
const char* reason_of(os::Error error) noexcept;
/// Whether the kernel knows no mapping there. Arenas are mapped whole, so that somebody else has taken it away; but not
/// every kernel says so of what is only protected: to be asked when all else has failed.
bool is_unmapped(const siginfo_t* info) noexcept;
constexpr const char* unmapped = "the page is not mapped: something outside the library has unmapped it";

}  // namespace cow::bad_access

// Side room: the call stack of a bad access, printed inside the signal handler. No allocation, no lock of ours, no stdio; the
// calls it may make are listed in tests/rooms/profile_may_call.txt.
#pragma once

namespace cow::backtrace_printer {

/// The observer: a line for each function. One thread at a time; the others, and a fault in here, go without.
void print(void* ucontext) noexcept;

}  // namespace cow::backtrace_printer

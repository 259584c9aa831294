// Side room: the call stack of a bad access. The handler walks the stack, which allocates nothing, and hands the
// addresses to a thread that was started beforehand and may allocate to find the names. What the handler calls is
// listed in tests/rooms/profile_may_call.txt.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cow::backtrace_printer {

constexpr std::size_t most_frames = 64;

struct Stack {
  std::uintptr_t frames[most_frames];  // innermost first
  std::size_t count = 0;
};

/// Descriptors to and from the thread that prints with names, and the process it runs in.
struct Namer {
  int ask = -1, answer = -1;
  std::uint64_t generation = 0;
};
void use(const Namer& namer) noexcept;

/// What the handler asks about. For the namer, while it is asked.
const Stack& asked_about() noexcept;

/// The observer. One thread at a time; the others, and a fault in here, go without. Waits for the namer for two
/// seconds, then prints bare addresses: the fault may have come where the C library's locks are held, which names need.
void print(void* ucontext) noexcept;

}  // namespace cow::backtrace_printer

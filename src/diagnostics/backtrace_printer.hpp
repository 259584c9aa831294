// The call stack of a bad access. The handler walks the stack, which allocates nothing, and hands the
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

/// Questions are counted: how many there were, for a namer to begin with.
std::uint32_t questions_so_far() noexcept;
/// It runs, in this process.
void has_namer() noexcept;
/// For the namer: waits for a question behind `last`, and gives its number. What it is about stays until the answer.
std::uint32_t wait_for_question(std::uint32_t last) noexcept;
const Stack& asked_about() noexcept;
void answer(std::uint32_t question) noexcept;

/// The observer. One thread at a time; the others, and a fault in here, go without. Waits for the namer for two
/// seconds, then prints bare addresses: the fault may have come where the C library's locks are held, which names need.
void print(void* ucontext) noexcept;

}  // namespace cow::backtrace_printer

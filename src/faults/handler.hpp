// What runs when SIGSEGV arrives: from the address to the rule, or on to whoever had the signal before. By the
// rules that rule/copy_on_write.hpp opens with. Who puts it in place is faults/install.
#pragma once

#include <csignal>
#include <cstdint>

#include "books/arena_books.hpp"

namespace cow {

enum class Verdict {
  not_ours,      // no arena or view of this process
  resolved,      // the write can be repeated
  unresolvable,  // ours, reported in one line; the signal goes on as what it was
};

Verdict resolve_fault(int signo, siginfo_t* info, void* ucontext) noexcept COW_SIGNALS_BLOCKED;

/// What a resolved fault cost.
struct FaultCost {
  const ArenaBooks* books;  // stays for as long as the write waits for the handler to return
  std::uint64_t pages_copied;
  std::uint64_t ns;
};

/// Is told of each resolved fault, in the handler but outside its lock. Null: nobody, which costs one load and one
/// branch.
using FaultObserver = void (*)(const FaultCost& cost, void* ucontext) noexcept;
void set_fault_observer(FaultObserver observer) noexcept;

/// Is told of each fault that was reported, after the line, in the handler but outside its locks.
using BadAccessObserver = void (*)(void* ucontext) noexcept;
void set_bad_access_observer(BadAccessObserver observer) noexcept;

/// The signal handler itself. An exception of who had the signal before us goes through it.
void handle_signal(int signo, siginfo_t* info, void* ucontext);

/// Whatever its flags.
bool is_our_handler(const struct sigaction& action) noexcept;

/// How the handler is installed: where signal() has put it back without its flags, it puts itself back like this.
/// `whole` stays for ever.
void put_back_when_called_plainly(const struct sigaction& whole) noexcept;

}  // namespace cow

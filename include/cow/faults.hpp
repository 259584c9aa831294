// The signal handler, for programs that share it with others.
//
// It hands every fault that is not the library's to whoever had the signal before, as the kernel would have: with the
// interrupted mask and its own; and it may jump out or throw (-fnon-call-exceptions). A handler installed later should
// do the same for ours, or ask try_handle(). Each new arena, clone and snapshot puts ours back in front where someone
// took it away, as test frameworks do after each test; so does the first fault where signal() put it back without its
// flags. It needs the stack that the kernel needs (getauxval(AT_MINSIGSTKSZ)) and 4 KiB, on the alternate stack where a
// thread has one. A thread that blocks SIGSEGV cannot be helped: the kernel kills the process at its first store to a
// protected page; prepare_write() first. A plugin that contains the library stays loaded once it has made an arena.
//
// A coroutine may have its stack inside an arena if its thread has an alternate stack. Operations on that arena, and on
// what it shares frames with, throw std::logic_error there: call them on an ordinary stack. Handles may end there. The
// child of a fork() there ends at once, and one line says why. A thread of pthread_create() may not: glibc keeps at the
// stack's end what the kernel writes to by itself, and a write by the kernel raises no signal.
#pragma once

#include <csignal>

#include "cow/export.hpp"

namespace cow {

/// Whether the library's handler is the one that SIGSEGV (and SIGBUS, where the userfaultfd barrier is in use)
/// reaches first. False when someone replaced it later, and before the first arena. One system call.
COW_API bool fault_handler_installed() noexcept;

/// Puts the handler in place, or back in place, chaining to what it finds there. Does nothing when it is
/// there already. Each arena, clone and snapshot does this by itself. Throws std::system_error, and std::runtime_error
/// where a sanitizer keeps the signal to itself (ASan with handle_segv=2).
COW_API void install_fault_handler();

/// For programs that own the handler: true if this fault was a write to an arena and is resolved, so that the
/// handler can return and the write be repeated. Async-signal-safe; keeps errno.
COW_API bool try_handle(int signo, siginfo_t* info, void* ucontext) noexcept;

/// Whether the one line about a bad access to an arena, a view, their guard pages or where one was is followed by the
/// call stack, with names and, where debug information tells, lines. On standard error, before the fault is handed on.
/// The handler allocates nothing: a thread, started here and kept, finds the names. Where it cannot within two seconds
/// (the fault came inside malloc, say), and in fork() children, bare addresses are printed. libunwind wants some 16 KiB
/// more of the handler's stack. Off at first. Throws std::system_error. False where the library was built without
/// libunwind: then nothing changes.
COW_API bool print_backtraces_of_bad_accesses(bool on);

}  // namespace cow

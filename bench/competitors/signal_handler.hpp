// Puts a competitor's fault handler in place, for the life of its process. One competitor a process.
#pragma once

#include <signal.h>

#include <cstddef>

#include "competitors/memory.hpp"

namespace bench {

using FaultHandler = void (*)(int, siginfo_t*, void*);

inline void handle_faults(int signal, FaultHandler handler) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(signal, &action, nullptr) != 0) throw_errno("sigaction");
}

}  // namespace bench

// Deaths by a signal, also where a sanitizer would end the process in its own way.
#pragma once

#include <csignal>

namespace cow::test {

/// Whoever had a handler for bad accesses has none any more. Before the first arena.
inline void die_by_signal() {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
}

}  // namespace cow::test

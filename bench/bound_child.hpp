// A fork() whose child cannot outlive its parent: an orphan would keep memory, and the pipe that its output goes to.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace bench {

/// As fork(). The second look is for a parent that was killed before its child first ran.
inline pid_t fork_bound_child() {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  return 0;
}

}  // namespace bench

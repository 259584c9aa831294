// How the files of `os` ask the kernel: by raw system calls, through the seam where tests make the nth fail.
#pragma once

#include <unistd.h>

#include <cerrno>

#include "kernel/os.hpp"

namespace cow::os {

/// Counts a call that may fail; whether it is the one to be refused.
bool made_to_fail() noexcept;

template <class... A>
long ask(long number, A... arguments) noexcept {
  if (made_to_fail()) return errno = ENOMEM, -1;
  return ::syscall(number, arguments...);
}

inline Error failed_if(bool failed) noexcept { return {failed ? errno : 0}; }

}  // namespace cow::os

// How what goes wrong with files is told: which file, what was done, what to do.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "kernel/os.hpp"

namespace cow::files {

inline const char* what_to_do(os::Error error) noexcept {
  switch (error.code) {
    case EFBIG:
      return "; RLIMIT_FSIZE (ulimit -f) or the file system allows no longer file";
    case EBADF:
      return "; the descriptor is closed, or not open for this";
    case EMFILE:
      return "; RLIMIT_NOFILE (ulimit -n) allows no further descriptor";
    case ENFILE:
      return "; the machine has no descriptor left (sysctl fs.file-max)";
    case EAGAIN:
      return "; the descriptor does not wait: take O_NONBLOCK from it";
    case EIO:
      return "; a disk fails, or a saved file that the arena is mapped from was cut short";
    case EISDIR:
      return "; that is a folder: name a file in it";
    case EPIPE:
      return "; nobody reads at the other end";
    default:
      return "";
  }
}

/// `doing`: "saving to \"x\"".
[[noreturn]] inline void fail(os::Error error, const std::string& doing) {
  throw std::system_error(error.code, std::generic_category(), "cow: " + doing + what_to_do(error));
}

inline void fail_if(os::Error error, const std::string& doing) {
  if (error) fail(error, doing);
}

template <class T>
T value_or_fail(os::Result<T> result, const std::string& doing) {
  if (!result) fail(result.error, doing);
  return result.value;
}

}  // namespace cow::files

// Where exceptions end: each becomes a negative errno and this thread's text.
#pragma once

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace cow::capi {

/// A call that cannot be: its errno is EINVAL, unless it says another.
class Refused : public std::runtime_error {
 public:
  explicit Refused(const std::string& why, int code) : std::runtime_error(why), code_(code) {}
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// Sets the thread's text to "call: why" and gives -code.
int fail(const char* call, int code, const char* why) noexcept;

/// The same for the exception that is being handled.
int fail_with_current_exception(const char* call) noexcept;

const char* last_error() noexcept;

/// f(), with what it throws as the result.
template <class F>
int guarded(const char* call, F&& f) noexcept {
  try {
    f();
    return 0;
  } catch (...) {
    return fail_with_current_exception(call);
  }
}

/// Leaves errno as it was: what closes and frees often runs where an error is on its way up.
class KeptErrno {
 public:
  KeptErrno() noexcept = default;
  ~KeptErrno() { errno = before_; }
  KeptErrno(const KeptErrno&) = delete;
  KeptErrno& operator=(const KeptErrno&) = delete;

 private:
  int before_ = errno;
};

/// Throws Refused with EINVAL unless it holds.
void require(bool holds, const char* what_is_wrong);

}  // namespace cow::capi

// Where exceptions end: each becomes a negative errno and this thread's text.
#pragma once

#include <cstddef>
#include <stdexcept>

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

/// Throws Refused with EINVAL unless it holds.
void require(bool holds, const char* what_is_wrong);

}  // namespace cow::capi

// What MemorySanitizer (clang's) is told, since it sees neither raw system calls nor inline assembly: which
// bytes have content, and who may read such as have none. Nothing at all in other builds.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define COW_MEMORY_SANITIZER 1
#include <sanitizer/msan_interface.h>
#endif
#endif

/// Before a function that reads pages of the program's, of which parts may never have been initialized.
#if defined(COW_MEMORY_SANITIZER)
#define COW_READS_UNINITIALIZED __attribute__((no_sanitize("memory")))
#else
#define COW_READS_UNINITIALIZED
#endif

namespace cow::memory_sanitizer {

/// The kernel, or an instruction that is not instrumented, has given these bytes their content.
inline void has_content([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(COW_MEMORY_SANITIZER)
  __msan_unpoison(at, bytes);
#endif
}

/// While it lives, library functions such as memcmp() may be given anything.
class ChecksOff {
 public:
#if defined(COW_MEMORY_SANITIZER)
  ChecksOff() noexcept { __msan_scoped_disable_interceptor_checks(); }
  ~ChecksOff() { __msan_scoped_enable_interceptor_checks(); }
#else
  ChecksOff() noexcept {}
  ~ChecksOff() {}
#endif
  ChecksOff(const ChecksOff&) = delete;
  ChecksOff& operator=(const ChecksOff&) = delete;
};

}  // namespace cow::memory_sanitizer

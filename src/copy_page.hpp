// Layer 1: copying page content where other threads' earlier writes are ordered by the page's protection and not by the
// language's memory model. Runs in the signal handler.
#pragma once

#include <cstddef>

#include "memory_sanitizer.hpp"

namespace cow {

/// Copies without being instrumented: a sanitizer cannot see that mprotect has flushed all writers before it returned.
inline void copy_bytes(void* to, const void* from, std::size_t bytes) noexcept {
#if defined(__x86_64__)
  memory_sanitizer::has_content(to, bytes);
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
  const volatile unsigned long* source = static_cast<const unsigned long*>(from);
  volatile unsigned long* target = static_cast<unsigned long*>(to);
  for (std::size_t i = 0; i < bytes / sizeof(unsigned long); ++i) target[i] = source[i];
#endif
}

}  // namespace cow

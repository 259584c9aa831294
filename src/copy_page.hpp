// Layer 1: copying page content where other threads' earlier writes are ordered by the page's protection and not by the
// language's memory model. Runs in the signal handler.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory_sanitizer.hpp"

namespace cow {

/// Copies without being instrumented: a sanitizer cannot see that mprotect has flushed all writers before it returned.
inline void copy_bytes(void* to, const void* from, std::size_t bytes) noexcept {
#if defined(__x86_64__)
  memory_sanitizer::has_content(to, bytes);
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % sizeof(unsigned long) == 0; };
  std::size_t done = 0;
  if (aligned(to) && aligned(from)) {
    const volatile unsigned long* source = static_cast<const unsigned long*>(from);
    volatile unsigned long* target = static_cast<unsigned long*>(to);
    for (; bytes - done >= sizeof(unsigned long); done += sizeof(unsigned long)) *target++ = *source++;
  }
  const volatile unsigned char* source = static_cast<const unsigned char*>(from);
  volatile unsigned char* target = static_cast<unsigned char*>(to);
  for (; done < bytes; ++done) target[done] = source[done];
#endif
}

}  // namespace cow

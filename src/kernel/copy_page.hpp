// Copying page content where other threads' earlier writes are ordered by the page's protection and not by the
// language's memory model. Runs in the signal handler.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/memory_sanitizer.hpp"

namespace cow {

namespace detail {

/// Word by word where both sides allow it.
__attribute__((no_sanitize("address"))) __attribute__((no_sanitize("thread"))) inline void copy_plainly(
    void* to, const void* from, std::size_t bytes) noexcept {
  std::size_t done = 0;
  const auto bits = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
  if (bits % sizeof(unsigned long) == 0) {
    const volatile unsigned long* source = static_cast<const unsigned long*>(from);
    volatile unsigned long* target = static_cast<unsigned long*>(to);
    for (; bytes - done >= sizeof(unsigned long); done += sizeof(unsigned long)) *target++ = *source++;
  }
  const volatile unsigned char* source = static_cast<const unsigned char*>(from);
  volatile unsigned char* target = static_cast<unsigned char*>(to);
  for (; done < bytes; ++done) target[done] = source[done];
}

}  // namespace detail

/// Copies without being instrumented: a sanitizer cannot see that mprotect has flushed all writers before it returned,
/// nor that who reads beside a writer looks afterwards whether the copy is good.
inline void copy_bytes(void* to, const void* from, std::size_t bytes) noexcept {
  memory_sanitizer::has_content(to, bytes);
#if defined(__x86_64__)
  constexpr std::size_t worth_starting = 256;  // the instruction takes some thirty cycles to begin
  if (bytes >= worth_starting) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return;
  }
#endif
  detail::copy_plainly(to, from, bytes);
}

/// Has the processor fetch the beginning of a page that is read soon, past which it fetches ahead by itself. Never
/// faults, whatever is there.
inline void fetch_page_ahead(const void* page) noexcept {
  constexpr std::size_t line = 64, lines = 16;
  for (std::size_t i = 0; i < lines; ++i) __builtin_prefetch(static_cast<const char*>(page) + i * line, 0, 2);
}

}  // namespace cow

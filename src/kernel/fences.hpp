// Memory fences, for content that is copied without being instrumented. Nothing else.
#pragma once

#include <atomic>

namespace cow {

/// Acquire: what was read before comes before what follows. Release: what was stored before comes before what follows.
inline void fence(std::memory_order order) noexcept {
#if defined(__SANITIZE_THREAD__) && defined(__x86_64__)
  (void)order;  // ThreadSanitizer knows no fences; loads keep their order on this machine, and so do stores
  __asm__ volatile("" : : : "memory");
#else
  std::atomic_thread_fence(order);
#endif
}

}  // namespace cow

// How a thread waits for a SpinLock.
#include "heap/spin_lock.hpp"

#include <sched.h>

#include <cerrno>
#include <ctime>

namespace cow::detail {

namespace {

void pause_briefly() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

void back_off(unsigned round) noexcept {
  constexpr unsigned spins = 64, yields = 16;
  constexpr long sleep_ns = 50'000;
  if (round < spins) return pause_briefly();
  const int saved_errno = errno;
  if (round < spins + yields) {
    sched_yield();
  } else {
    const timespec pause{0, sleep_ns};
    nanosleep(&pause, nullptr);
  }
  errno = saved_errno;
}

}  // namespace

void SpinLock::wait_and_lock() noexcept {
  unsigned round = 0;
  do {
    while (taken_.load(std::memory_order_relaxed)) back_off(round++);
  } while (taken_.exchange(true, std::memory_order_acquire));
}

}  // namespace cow::detail

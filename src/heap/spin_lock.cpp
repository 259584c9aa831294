// How a thread waits for a SpinLock.
#include "heap/spin_lock.hpp"

#include <pthread.h>
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

/// nanosleep() is a point where a thread may be cancelled, which nobody who waits for a lock expects.
void sleep_briefly() noexcept {
  constexpr timespec pause{0, 50'000};
  int cancellable = 0;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
  nanosleep(&pause, nullptr);
  (void)pthread_setcancelstate(cancellable, nullptr);
}

void back_off(unsigned round) noexcept {
  constexpr unsigned spins = 64, yields = 16;
  if (round < spins) return pause_briefly();
  const int saved_errno = errno;
  if (round < spins + yields) {
    sched_yield();
  } else {
    sleep_briefly();
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

// A lock of one byte for sections of some tens of nanoseconds, which now and then last as long as a page fault or a
// snapshot. Knows nothing of heaps.
#pragma once

#include <atomic>

namespace cow::detail {

/// Not recursive. Unlocking is a plain store; a mutex would pay a second atomic exchange there, which every small
/// allocation would feel.
class SpinLock {
 public:
  void lock() noexcept {
    if (taken_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      wait_and_lock();
  }
  void unlock() noexcept { taken_.store(false, std::memory_order_release); }
  /// In a fork() child, where whoever held it is not.
  void let_go_in_child() noexcept { unlock(); }

 private:
  /// Spins, then yields, then sleeps: the holder may itself be off the processor or inside a snapshot.
  void wait_and_lock() noexcept;

  std::atomic<bool> taken_{false};
};

}  // namespace cow::detail

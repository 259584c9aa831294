// The one kind of lock that the signal handler may take. Short critical sections only; never held
// while memory of an arena is touched, and only with asynchronous signals blocked.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "kernel/os.hpp"
#include "words/held.hpp"

namespace cow {

/// A futex lock that knows its owner, so that a thread which faults while it holds the lock can tell that
/// waiting would be forever. A fault must wait for a busy lock: declining it would kill the program.
class FaultLock {
 public:
  void lock() noexcept {
    std::uint32_t free = 0;
    if (!state_.compare_exchange_strong(free, held, std::memory_order_acquire, std::memory_order_relaxed)) {
      lock_slowly();
    }
    owner_.store(self(), std::memory_order_relaxed);
    owners_stack_.store(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)), std::memory_order_relaxed);
  }

  void unlock() noexcept {
    owner_.store(0, std::memory_order_relaxed);
    if (state_.exchange(0, std::memory_order_release) == contended) os::wake_one(word());
  }

  /// For a thread that was interrupted by a fault, with its stack there. Threads made by raw clone() may share what
  /// pthread_self() tells, but not a stack.
  bool held_by_this_thread(std::uintptr_t interrupted_stack) const noexcept {
    if (owner_.load(std::memory_order_relaxed) != self()) return false;
    const std::uintptr_t owners = owners_stack_.load(std::memory_order_relaxed);
    return (owners < interrupted_stack ? interrupted_stack - owners : owners - interrupted_stack) < most_stack_used;
  }

  /// By whichever thread.
  bool is_held() const noexcept { return state_.load(std::memory_order_relaxed) != 0; }

  /// In a fork() child, where whoever held it is not.
  void let_go_in_child() noexcept {
    owner_.store(0, std::memory_order_relaxed);
    state_.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t held = 1, contended = 2;
  /// By what is done under the lock; more than it takes, for builds with large frames.
  static constexpr std::uintptr_t most_stack_used = 32 * 1024;
  static constexpr int spins_before_sleep = 200;  // about one fault's work

  // pthread_self() reads a register: no system call, no thread-local that may be created lazily.
  static std::uint64_t self() noexcept {
    return reinterpret_cast<std::uint64_t>(reinterpret_cast<void*>(::pthread_self()));
  }
  std::uint32_t* word() noexcept { return reinterpret_cast<std::uint32_t*>(&state_); }

  void lock_slowly() noexcept {
    for (int i = 0; i < spins_before_sleep; ++i) {
      std::uint32_t free = 0;
      if (state_.load(std::memory_order_relaxed) == 0 &&
          state_.compare_exchange_weak(free, held, std::memory_order_acquire, std::memory_order_relaxed)) {
        return;
      }
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    while (state_.exchange(contended, std::memory_order_acquire) != 0) os::wait_on(word(), contended);
  }

  std::atomic<std::uint32_t> state_{0};
  std::atomic<std::uint64_t> owner_{0};
  std::atomic<std::uintptr_t> owners_stack_{0};
};

/// Locks of the same kind, with types of their own that tell what is held: that of a memory file, that of the registry,
/// and those of lists.
class FileLock : public FaultLock {};
class PublishedLock : public FaultLock {};
class ListLock : public FaultLock {};

/// Holds a lock with asynchronous signals blocked: how operations take it.
class COW_HOLDER FaultLockGuard {
 public:
  explicit FaultLockGuard(FaultLock& lock) noexcept COW_TAKES(held::signals, held::fault_lock) : lock_(lock) {
    lock_.lock();
  }
  explicit FaultLockGuard(FileLock& lock) noexcept COW_TAKES(held::signals, held::file_lock) : lock_(lock) {
    lock_.lock();
  }
  explicit FaultLockGuard(ListLock& lock) noexcept COW_TAKES(held::signals, held::list) : lock_(lock) { lock_.lock(); }
  ~FaultLockGuard() COW_LETS_GO { lock_.unlock(); }
  FaultLockGuard(const FaultLockGuard&) = delete;
  FaultLockGuard& operator=(const FaultLockGuard&) = delete;

 private:
  os::AsyncSignalsBlocked blocked_;
  FaultLock& lock_;
};

/// Holds a lock where asynchronous signals are blocked already: in the handler, or inside another guard.
class COW_HOLDER FaultLockHeld {
 public:
  explicit FaultLockHeld(FaultLock& lock) noexcept COW_TAKES(held::fault_lock) : lock_(lock) { lock_.lock(); }
  explicit FaultLockHeld(FileLock& lock) noexcept COW_TAKES(held::file_lock) : lock_(lock) { lock_.lock(); }
  explicit FaultLockHeld(ListLock& lock) noexcept COW_TAKES(held::list) : lock_(lock) { lock_.lock(); }
  ~FaultLockHeld() COW_LETS_GO { lock_.unlock(); }
  FaultLockHeld(const FaultLockHeld&) = delete;
  FaultLockHeld& operator=(const FaultLockHeld&) = delete;

 private:
  FaultLock& lock_;
};

}  // namespace cow

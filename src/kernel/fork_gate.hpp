// The moment between a fork()'s cut through the arenas and the kernel's copy of the process. No lock is held
// meanwhile, since other libraries' handlers and libc's own locks come in between, and who holds those may be a thread
// that writes to an arena. Who writes waits here instead, and not for ever. Knows nothing of arenas.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "kernel/fault_lock.hpp"
#include "kernel/os.hpp"
#include "words/held.hpp"

namespace cow::fork_gate {

struct State {
  std::atomic<std::uint32_t> turn{0};    // odd: shut
  std::atomic<std::uint64_t> holder{0};  // the forking thread
  std::atomic<std::uint32_t> holder_id{0};
};
extern constinit State state;

inline std::uint64_t this_thread() noexcept {
  return reinterpret_cast<std::uint64_t>(reinterpret_cast<void*>(::pthread_self()));
}

/// To other threads than the one that forks.
inline bool is_shut() noexcept {
  return (state.turn.load(std::memory_order_relaxed) & 1) != 0 &&
         state.holder.load(std::memory_order_relaxed) != this_thread();
}

/// Waits until the gate is open. Gives up, and opens it to all, when the forking thread itself waits for others, who
/// may be waiting here; or after a second. Async-signal-safe.
void wait() noexcept;

/// With all locks held that writers pass with; it is open. Gives the turn, for open().
std::uint32_t shut() noexcept;
/// Unless it has been opened since that turn.
void open(std::uint32_t turn) noexcept;
/// In a fork() child, which has nobody to wait for.
void open_in_child() noexcept;

/// Takes a lock when the gate is open. The lock is not held while waiting. Whoever shuts the gate holds the lock.
template <class Lock>
void pass(Lock& lock) noexcept {
  for (;;) {
    lock.lock();
    if (!is_shut()) [[likely]]
      return;
    lock.unlock();
    wait();
  }
}

}  // namespace cow::fork_gate

namespace cow {

/// Holds a fault lock to let writes through, where asynchronous signals are blocked already.
class COW_HOLDER WriterLockHeld {
 public:
  explicit WriterLockHeld(FaultLock& lock) noexcept COW_TAKES(held::fault_lock) : lock_(lock) {
    fork_gate::pass(lock_);
  }
  explicit WriterLockHeld(PublishedLock& lock) noexcept COW_TAKES(held::published) : lock_(lock) {
    fork_gate::pass(lock_);
  }
  ~WriterLockHeld() COW_LETS_GO { lock_.unlock(); }
  WriterLockHeld(const WriterLockHeld&) = delete;
  WriterLockHeld& operator=(const WriterLockHeld&) = delete;

 private:
  FaultLock& lock_;
};

/// The same, and blocks them.
class COW_HOLDER WriterLockGuard {
 public:
  explicit WriterLockGuard(FaultLock& lock) noexcept COW_TAKES(held::signals, held::fault_lock) : held_(lock) {}
  explicit WriterLockGuard(PublishedLock& lock) noexcept COW_TAKES(held::signals, held::published) : held_(lock) {}
  ~WriterLockGuard() COW_LETS_GO = default;
  WriterLockGuard(const WriterLockGuard&) = delete;
  WriterLockGuard& operator=(const WriterLockGuard&) = delete;

 private:
  os::AsyncSignalsBlocked blocked_;
  WriterLockHeld held_;
};

}  // namespace cow

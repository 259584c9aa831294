// Layer 6: which address ranges are arenas or views. Looked up by every fault of the process, also foreign ones and while arenas
// come and go: slots are reused, but their memory is never freed.
#pragma once

#include <atomic>
#include <cstdint>

#include "arena_books.hpp"
#include "fault_lock.hpp"
#include "os.hpp"

namespace cow {

/// One range. Invariant: begin, end and books change only under the lock; a reader checks them again under it.
struct FaultSlot {
  FaultLock lock;
  std::atomic<std::uintptr_t> begin{0}, end{0};  // 0, 0: nothing here
  ArenaBooks* books = nullptr;                   // null: a view
  std::uint64_t generation = 0;                  // the process that made the range
  FaultSlot* next_free = nullptr;

  bool contains(std::uintptr_t address) const noexcept {
    return begin.load(std::memory_order_relaxed) <= address && address < end.load(std::memory_order_relaxed);
  }
};

namespace fault_registry {

/// The slot whose range has the address, or null. A hint until checked again under its lock. Async-signal-safe.
FaultSlot* find(const void* address) noexcept;

/// A slot for a new range, empty. Reserves memory now and then.
os::Result<FaultSlot*> take() noexcept;
/// Publishes a range: faults in it are ours from now on.
void publish(FaultSlot& slot, const void* begin, std::size_t bytes, ArenaBooks* books) noexcept;
/// Faults in the range are nobody's from now on. Takes the slot's lock; asynchronous signals are blocked.
void withdraw(FaultSlot& slot) noexcept;
void give_back(FaultSlot& slot) noexcept;

/// Calls f(slot) for each published slot; for the child of a fork(), where nothing else runs.
void for_each_published(void (*f)(FaultSlot&)) noexcept;

/// Calls f(books, context) for each arena of the process, with its fault lock held: the books stay for that long.
void for_each_arena(void (*f)(ArenaBooks& books, void* context), void* context) noexcept;

/// Held over fork(), so that the child finds the registry whole.
void lock_for_fork() noexcept;
void unlock_after_fork() noexcept;

}  // namespace fault_registry
}  // namespace cow

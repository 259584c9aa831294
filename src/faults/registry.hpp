// Which address ranges are arenas or views. Looked up by every fault of the process, also foreign ones and
// while arenas come and go: slots are reused, but their memory is never freed.
#pragma once

#include <atomic>
#include <cstdint>

#include "books/arena_books.hpp"
#include "kernel/fault_lock.hpp"
#include "kernel/os.hpp"

namespace cow {

struct FaultSlot;

namespace detail {

/// Who must not store to an arena, while a cow::RefuseWrites says so. The slot's lock covers the list.
struct WriteRefusal {
  static constexpr std::uint32_t every_thread = 0;

  WriteRefusal(FaultSlot& of, std::uint32_t by, std::uint64_t process) noexcept
      : slot(of), thread(by), generation(process) {}

  FaultSlot& slot;
  const std::uint32_t thread;      // os::thread_id()
  const std::uint64_t generation;  // the process that it was made in
  WriteRefusal* next = nullptr;
};

}  // namespace detail

/// One range. Invariant: all of it but the links changes only under the lock; a reader without it looks at what is
/// atomic here, and checks it again under the lock.
struct FaultSlot {
  FaultLock lock;
  std::atomic<std::uintptr_t> begin{0}, end{0};  // 0, 0: nothing here
  COW_BY_FAULT_LOCK ArenaBooks* books = nullptr;         // null: a view
  COW_BY_FAULT_LOCK detail::MappedView* view = nullptr;  // null: an arena
  std::atomic<std::uint64_t> generation{0};      // the process that made the range
  std::uint64_t publication = 0;                 // counts ranges, so that none is taken for another in the same place
  bool kept = false;                             // while a fork() child begins: it goes on using the range
  std::atomic<std::size_t> guard_bytes{0};       // inaccessible, on each side; 0 where others may be next to the range
  char name[sizeof ArenaBooks::name] = {};       // the arena's, also of a view
  COW_BY_FAULT_LOCK detail::WriteRefusal* refusals = nullptr;  // those in force
  FaultSlot* next_free = nullptr;

  bool contains(std::uintptr_t address) const noexcept {
    return begin.load(std::memory_order_relaxed) <= address && address < end.load(std::memory_order_relaxed);
  }
  /// Invariant: nothing is published at the ends of the address space, so that this does not overflow.
  bool guards(std::uintptr_t address) const noexcept {
    const std::size_t guard = guard_bytes.load(std::memory_order_relaxed);
    return !contains(address) && begin.load(std::memory_order_relaxed) - guard <= address &&
           address < end.load(std::memory_order_relaxed) + guard;
  }
};

namespace fault_registry {

/// The slot whose range has the address, or null. A hint until checked again under its lock. Async-signal-safe.
FaultSlot* find(const void* address) noexcept;
/// The same for the guards beside the ranges.
FaultSlot* find_guard(const void* address) noexcept;

/// A slot for a new range, empty. Reserves memory now and then.
os::Result<FaultSlot*> take() noexcept;
/// Publishes a range of an arena or of a view: faults in it are ours from now on. Waits at the gate of a fork(): no
/// lock of an arena may be held. `arena` names the arena of a view.
void publish(FaultSlot& slot, const void* begin, std::size_t bytes, ArenaBooks* books, detail::MappedView* view,
             const ArenaBooks* arena = nullptr) noexcept;
/// Faults in the range are nobody's from now on; gone_ranges remembers it. Waits like publish(); asynchronous signals
/// are blocked.
void withdraw(FaultSlot& slot) noexcept COW_SIGNALS_BLOCKED;
void give_back(FaultSlot& slot) noexcept;

// -- For fork() -------------------------------------------------------------------------------------------------

/// Between these two what is published stays so, and the arenas and views behind it stay alive: while the cut is made.
/// Waits at the gate of another fork(). Asynchronous signals are blocked.
void begin_cut() noexcept COW_SIGNALS_BLOCKED COW_TAKES(held::published);
void end_cut() noexcept COW_HELD_ATTRIBUTE(release_capability(held::published));
/// In the child, where other threads may have left anything half done: all locks are free, and what take() and
/// publish() change is whole.
void begin_in_child() noexcept;

std::uint32_t slots_used() noexcept;
FaultSlot& slot_at(std::uint32_t number) noexcept;

/// Calls f(slot) for each published slot of a process.
template <class F>
void for_each_published(std::uint64_t generation, F&& f) noexcept {
  const std::uint32_t count = slots_used();
  for (std::uint32_t i = 0; i < count; ++i) {
    FaultSlot& slot = slot_at(i);
    const bool published = slot.end.load(std::memory_order_relaxed) != 0;
    if (published && slot.generation.load(std::memory_order_relaxed) == generation) f(slot);
  }
}

/// Calls f(books, context) for each arena of the process, with its fault lock held: the books stay for that long.
void for_each_arena(void (*f)(ArenaBooks& books, void* context), void* context) noexcept;

}  // namespace fault_registry
}  // namespace cow

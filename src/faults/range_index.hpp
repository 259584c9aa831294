// The published ranges in the order of their addresses, to be searched by any fault at any moment. Knows
// nothing of what the ranges are.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"

namespace cow {

struct FaultSlot;

/// A sorted list in two copies: one is searched, the other is written and then takes its place. Who was still searching
/// the one from before notices that and searches again; nobody waits for a writer, not even one that has stopped half
/// way, as in a fork() child. All memory stays: a search may be in it.
///
/// Ranges do not overlap. Changes: one thread at a time. Cost: the logarithm of the number of ranges for a search, the
/// number itself for a change (a nanosecond each).
class RangeIndex {
 public:
  /// Room for as many ranges in all.
  os::Error make_room(std::size_t ranges) noexcept;
  /// There is room.
  void insert(std::uintptr_t begin, std::uintptr_t end, FaultSlot* slot) noexcept;
  void erase(std::uintptr_t begin) noexcept;

  struct Neighbours {
    FaultSlot* at = nullptr;      // whose range begins at or before the address, and nobody's between
    std::uintptr_t end = 0;       // of that range
    FaultSlot* above = nullptr;   // whose range is the next
  };
  /// Async-signal-safe.
  Neighbours search(std::uintptr_t address) const noexcept;

 private:
  struct Entry {
    std::atomic<std::uintptr_t> begin{0}, end{0};
    std::atomic<FaultSlot*> slot{nullptr};
  };
  /// Blocks of entries, each twice as long as the one before: an entry never moves.
  struct Copy {
    static constexpr std::size_t first_block = 64;
    static constexpr std::size_t most_blocks = 26;

    std::array<std::atomic<Entry*>, most_blocks> blocks{};
    std::atomic<std::size_t> count{0};

    Entry& operator[](std::size_t index) const noexcept;
    std::size_t first_after(std::uintptr_t address, std::size_t count_seen) const noexcept;
    void assign(std::size_t index, std::uintptr_t begin, std::uintptr_t end, FaultSlot* slot) noexcept;
    void assign(std::size_t index, const Entry& entry) noexcept;
  };

  Copy& searched() noexcept { return copies_[turns_.load(std::memory_order_relaxed) % 2]; }
  Copy& written() noexcept { return copies_[(turns_.load(std::memory_order_relaxed) + 1) % 2]; }
  void take_turns() noexcept { turns_.fetch_add(1, std::memory_order_release); }

  Copy copies_[2];
  std::atomic<std::uint64_t> turns_{0};
};

}  // namespace cow

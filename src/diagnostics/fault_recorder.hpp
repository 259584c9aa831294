// What the fault profile does inside the signal handler: unwinds the writer's stack and counts it in a table
// of fixed size. No allocation, no lock, no stdio; the calls it may make are listed in
// tests/rooms/profile_may_call.txt.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "faults/handler.hpp"

namespace cow {

constexpr std::uint32_t most_recorded_frames = 96;

/// The faults of one call stack. Told apart by a 64-bit hash: counting never waits for the thread that fills in the
/// rest.
struct RecordedStack {
  std::uint64_t hash = 0;  // 0: nothing here
  std::uint64_t samples = 0, pages = 0, ns = 0;
  std::uint32_t frame_count = 0;
  std::uint32_t filled = 0;  // 0: frames and name are being written
  std::uint32_t cut = 0;
  char arena[32] = {};
  std::uintptr_t frames[most_recorded_frames] = {};  // innermost first; the others are return addresses
};

/// In zeroed memory of its own. All that changes is read and written as atomic words.
struct RecordedFaults {
  static std::size_t bytes_for(std::uint64_t slots) noexcept {
    return sizeof(RecordedFaults) + slots * sizeof(RecordedStack);
  }
  RecordedStack* slots() noexcept { return reinterpret_cast<RecordedStack*>(this + 1); }

  std::uint64_t every = 1;
  std::uint64_t slot_count = 0;  // a power of two, larger than most_stacks
  std::uint64_t most_stacks = 0;
  std::uint64_t faults = 0, dropped = 0, stacks = 0;
};

/// Lock-free words in memory that handlers share.
inline std::uint64_t read_word(std::uint64_t& word) noexcept {
  return std::atomic_ref(word).load(std::memory_order_relaxed);
}
inline std::uint64_t add_to(std::uint64_t& word, std::uint64_t more) noexcept {
  return std::atomic_ref(word).fetch_add(more, std::memory_order_relaxed);
}

namespace fault_recorder {

/// Handlers record here from now on; null: nowhere. One that is busy may still be using what was there before.
void use(RecordedFaults* faults) noexcept;
bool busy() noexcept;
/// In a fork() child: those that were busy are not there.
void forget_other_threads() noexcept;
/// The observer. Async-signal-safe, apart from what fault_profile.hpp names.
void record(const FaultCost& cost, void* ucontext) noexcept;
/// Loads libunwind, and walks this thread's stack for it to set itself up outside the handler: its tables, a pipe.
void warm_up() noexcept;

}  // namespace fault_recorder
}  // namespace cow

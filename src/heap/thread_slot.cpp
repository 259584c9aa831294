// Handing out the threads' numbers.
#include "heap/thread_slot.hpp"

#include <atomic>
#include <bit>
#include <cstdint>

namespace cow::detail {

constinit thread_local unsigned cached_thread_slot = 0;

namespace {

std::atomic<std::uint64_t> slots_in_use{0};
std::atomic<unsigned> surplus_threads{0};

/// Gives the slot back when the thread ends. Allocations that happen still later in the thread keep using the number.
struct SlotHolder {
  std::uint64_t bit = 0;
  ~SlotHolder() { slots_in_use.fetch_and(~bit, std::memory_order_relaxed); }
};

unsigned lowest_free_slot(std::uint64_t& bit) noexcept {
  std::uint64_t in_use = slots_in_use.load(std::memory_order_relaxed);
  while (~in_use != 0) {
    bit = ~in_use & (in_use + 1);
    if (slots_in_use.compare_exchange_weak(in_use, in_use | bit, std::memory_order_relaxed)) {
      return static_cast<unsigned>(std::countr_zero(bit));
    }
  }
  bit = 0;
  return surplus_threads.fetch_add(1, std::memory_order_relaxed) % thread_slots;
}

}  // namespace

unsigned take_thread_slot() noexcept {
  thread_local SlotHolder holder;
  const unsigned slot = lowest_free_slot(holder.bit);
  cached_thread_slot = slot + 1;
  return slot;
}

}  // namespace cow::detail

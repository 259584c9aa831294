// What the soak's writers write, so that any copy of the memory tells by itself whether it is one moment's: each writer
// goes over the pages in one order with a number that grows by one each time round. Knows no arena.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cow::soak {

inline constexpr std::size_t writers = 3;
inline constexpr std::size_t pages = 512;       // with the pattern
inline constexpr std::size_t spare_pages = 64;  // behind them, for whatever else

/// Neighbours in writing are far apart in memory, and differently so for each writer.
inline std::size_t page_of_step(std::size_t writer, std::size_t step) {
  constexpr std::size_t strides[writers] = {1, 149, 331};  // odd: all pages have their turn
  return step * strides[writer] % pages;
}

inline std::uint64_t& word_of(std::byte* memory, std::size_t page_bytes, std::size_t writer, std::size_t step) {
  return *reinterpret_cast<std::uint64_t*>(memory + page_of_step(writer, step) * page_bytes + writer * 512);
}

inline void write(std::byte* memory, std::size_t page_bytes, std::size_t writer, std::size_t step,
                  std::uint64_t number) {
  std::atomic_ref(word_of(memory, page_bytes, writer, step)).store(number, std::memory_order_release);
}

/// Whether the memory is as at one moment: up to some step one number, behind it the one before. Async-signal-safe.
inline bool is_one_moment(const std::byte* memory, std::size_t page_bytes) {
  std::byte* const base = const_cast<std::byte*>(memory);
  for (std::size_t writer = 0; writer < writers; ++writer) {
    const auto number_at = [&](std::size_t step) {
      return std::atomic_ref(word_of(base, page_bytes, writer, step)).load(std::memory_order_acquire);
    };
    const std::uint64_t newest = number_at(0);
    std::uint64_t number = newest;
    for (std::size_t step = 1; step < pages; ++step) {
      const std::uint64_t next = number_at(step);
      if (next != number && !(number == newest && next + 1 == number)) return false;
      number = next;
    }
  }
  return true;
}

}  // namespace cow::soak

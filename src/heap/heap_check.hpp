// Walks all of a heap's books and compares what they say of each other. Changes nothing, and follows no link before it
// has seen that it leads into the table of units.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cow/heap.hpp"
#include "heap/context.hpp"

namespace cow::detail {

/// Found under the heap's locks, so kept without any allocation, which might need them.
struct HeapFindings {
  struct Finding {
    const char* text;  // with {where}, {found} and {expected} in this order of members
    std::uint64_t where, found, expected;
  };

  static constexpr std::size_t most_kept = 32;
  std::array<Finding, most_kept> kept{};
  std::size_t count = 0;
  std::uint64_t refused_frees = 0;
  const void* last_refused = nullptr;

  void add(const char* text, std::uint64_t where = 0, std::uint64_t found = 0, std::uint64_t expected = 0) noexcept {
    if (count < most_kept) kept[count] = {text, where, found, expected};
    ++count;
  }
};

/// These two need all locks of the heap.
HeapFindings check_heap(const HeapContext& context);
HeapStats heap_stats(const HeapContext& context);

HeapReport describe(const HeapFindings& findings);

}  // namespace cow::detail

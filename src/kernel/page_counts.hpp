// A count for each page of a range, such that a long run of pages costs no more to count than a short one, and asking
// for a page's count reads a word of each level. Memory only where touched. Not locked.
#pragma once

#include <cstddef>
#include <cstdint>

#include "words/units.hpp"

namespace cow {

class PageCounts {
 public:
  PageCounts() noexcept = default;

  /// Bytes of zeroed memory that counts of so many pages need.
  static std::size_t bytes_for(std::uint64_t pages) noexcept;
  /// Takes its memory: zeroed, of bytes_for(pages), and outliving the counts.
  PageCounts(std::byte* memory, std::uint64_t pages) noexcept;

  /// One more for each page of the run. Cost: a word a page at either end of it, at most 63, for each level.
  void add(Pages run) noexcept { change(run, 1); }
  /// One less.
  void take_off(Pages run) noexcept { change(run, ~std::uint32_t{0}); }

  std::uint32_t of(Page p) const noexcept {
    std::uint32_t sum = 0;
    std::uint64_t at = p.value;
    for (int level = 0; level < levels_used_; ++level, at /= 64) sum += levels_[level][at];
    return sum;
  }
  /// Has the processor fetch what of() reads of this page alone.
  void fetch_ahead(Page p) const noexcept { __builtin_prefetch(&levels_[0][p.value]); }

 private:
  static constexpr int most_levels = 6;  // of 64^6 pages and more the last has 64 words or more

  void change(Pages run, std::uint32_t by) noexcept;

  // What a word of level n counts, each of 64 words of level n-1 has besides. Modulo 2^32: only sums mean anything.
  std::uint32_t* levels_[most_levels] = {};
  int levels_used_ = 0;
};

}  // namespace cow

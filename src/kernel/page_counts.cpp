// See kernel/page_counts.hpp. Runs in the signal handler: no allocation, no locks.
#include "kernel/page_counts.hpp"

namespace cow {
namespace {

/// The words of the level above.
constexpr std::uint64_t words_above(std::uint64_t words) noexcept { return (words + 63) / 64; }

}  // namespace

std::size_t PageCounts::bytes_for(std::uint64_t pages) noexcept {
  std::uint64_t words = 0;
  for (int level = 0; level < most_levels; ++level, pages = words_above(pages)) words += pages;
  return words * sizeof(std::uint32_t);
}

PageCounts::PageCounts(std::byte* memory, std::uint64_t pages) noexcept {
  std::uint32_t* words = reinterpret_cast<std::uint32_t*>(memory);
  while (levels_used_ < most_levels) {
    levels_[levels_used_++] = words;
    words += pages;
    if (pages <= 64) return;
    pages = words_above(pages);
  }
}

void PageCounts::change(Pages run, std::uint32_t by) noexcept {
  std::uint64_t at = run.first.value, end = run.end().value;
  for (int level = 0; at < end; ++level, at /= 64, end /= 64) {
    std::uint32_t* const words = levels_[level];
    const bool last = level + 1 == levels_used_;
    for (; at < end && (last || at % 64 != 0); ++at) words[at] += by;
    for (; at < end && end % 64 != 0; --end) words[end - 1] += by;
  }
}

}  // namespace cow

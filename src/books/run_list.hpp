// The content of a version as runs: which pages show which frames. Sorted and disjoint; pages in no run read
// as zero.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernel/book_memory.hpp"
#include "words/units.hpp"

namespace cow {

/// Shorter runs are copied where that joins the longer ones round them to one mapping.
inline constexpr std::uint64_t length_worth_mapping = 16;

class RunList {
 public:
  /// Adds a run behind all others, joining it to the last where it goes on.
  os::Error append(const Run& run) noexcept {
    if (run.count == 0 || run.frame == zero_frame) return {};
    if (!runs_.empty() && runs_.back().continues_in(run)) {
      runs_.back().count += run.count;
      return {};
    }
    return runs_.push_back(run);
  }

  os::Error copy(const RunList& other) noexcept {
    if (const os::Error error = runs_.make_room(other.size())) return error;
    for (const Run& run : other) runs_.append(run);
    return {};
  }

  /// The frame that page p shows, or zero_frame.
  Frame find(Page p) const noexcept {
    const Run* after = first_after(p);
    if (after == runs_.begin()) return zero_frame;
    const Run& run = after[-1];
    return p < run.end() ? run.frame_of(p) : zero_frame;
  }

  /// The first run that ends behind p.
  const Run* from(Page p) const noexcept {
    const Run* after = first_after(p);
    return after != runs_.begin() && p < after[-1].end() ? after - 1 : after;
  }

  /// Kernel mappings that the runs and the gaps between them make in a range of `pages` pages.
  std::uint64_t mappings(std::uint64_t pages) const noexcept {
    std::uint64_t count = 0;
    Page at{0};
    for (const Run& run : runs_) {
      count += run.first == at ? 1 : 2;
      at = run.end();
    }
    return at.value == pages ? count : count + 1;
  }

  std::uint64_t pages() const noexcept {
    std::uint64_t sum = 0;
    for (const Run& run : runs_) sum += run.count;
    return sum;
  }

  const Run* begin() const noexcept { return runs_.begin(); }
  const Run* end() const noexcept { return runs_.end(); }
  std::size_t size() const noexcept { return runs_.size(); }
  bool empty() const noexcept { return runs_.empty(); }
  std::size_t bytes() const noexcept { return runs_.resident_bytes(); }

 private:
  const Run* first_after(Page p) const noexcept {
    return std::upper_bound(runs_.begin(), runs_.end(), p, [](Page page, const Run& run) { return page < run.first; });
  }

  BookVector<Run> runs_;
};

}  // namespace cow

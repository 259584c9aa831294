// Competitor: fork() of a process whose heap is in 4 KiB pages. The snapshot is a child that sleeps.
#pragma once

#include <deque>

#include "competitors/child.hpp"
#include "competitors/competitor.hpp"

namespace bench {

class ForkSmallPages {
 public:
  static constexpr std::string_view label = "fork, 4 KiB pages";
  static constexpr bool drop_counts = false, many = true;

  explicit ForkSmallPages(std::size_t bytes) : heap_(anonymous_memory(bytes)) {
    ::madvise(heap_.data(), bytes, MADV_NOHUGEPAGE);
  }

  std::byte* data() noexcept { return heap_.data(); }
  void drop() { children_.pop_front(); }
  void settle() {}
  void snapshot(std::span<const Page>) { children_.emplace_back(); }
  std::uint64_t old_word(Page page) const { return children_.back().word_at(heap_.data() + word_offset(page)); }

 private:
  Mapping heap_;
  std::deque<SleepingChild> children_;
};
static_assert(Competitor<ForkSmallPages>);

}  // namespace bench

// Competitor: fork() of a process whose heap is in huge pages, made whole again before each fork(), untimed:
// left alone it decays to small pages as copy-on-write splits them.
#pragma once

#include <deque>

#include "competitors/child.hpp"
#include "competitors/competitor.hpp"
#include "trial.hpp"

namespace bench {

class ForkHugePages {
 public:
  static constexpr std::string_view label = "fork, huge pages";
  static constexpr bool drop_counts = false, many = true;

  explicit ForkHugePages(std::size_t bytes) : memory_(anonymous_memory(bytes + huge)), bytes_(bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    heap_ = memory_.data() + (huge - address % huge) % huge;
    if (::madvise(heap_, bytes, MADV_HUGEPAGE) != 0) throw NotAvailable("this kernel has no huge pages");
  }

  std::byte* data() noexcept { return heap_; }
  void drop() { children_.pop_front(); }
  void settle() {
    if (::madvise(heap_, bytes_, MADV_COLLAPSE) != 0) throw NotAvailable("MADV_COLLAPSE failed");
  }
  void snapshot(std::span<const Page>) { children_.emplace_back(); }
  std::uint64_t old_word(Page page) const { return children_.back().word_at(heap_ + word_offset(page)); }

 private:
  static constexpr std::size_t huge = 2 * mib;

  Mapping memory_;
  std::byte* heap_;
  std::size_t bytes_;
  std::deque<SleepingChild> children_;
};
static_assert(Competitor<ForkHugePages>);

}  // namespace bench

// A set of pages as a bitmap with summaries above it, so that looking for the next member costs what the
// set holds and not what the arena spans. One bit a page, memory only where touched. Not locked, but for contains().
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "words/units.hpp"

namespace cow {

class PageSet;

/// The runs of a set's members in a part of it, for a loop: each as it is when its turn comes, and clipped to the part.
class RunsOf {
 public:
  struct End {};

  class Iterator {
   public:
    Iterator(const PageSet& set, Pages within) noexcept : set_(set), end_(within.end()) { find(within.first); }
    Pages operator*() const noexcept { return run_; }
    Iterator& operator++() noexcept { return find(run_.end()), *this; }
    bool operator==(End) const noexcept { return run_.count == 0; }

   private:
    void find(Page from) noexcept;

    const PageSet& set_;
    const Page end_;
    Pages run_;
  };

  RunsOf(const PageSet& set, Pages within) noexcept : set_(set), within_(within) {}
  Iterator begin() const noexcept { return {set_, within_}; }
  End end() const noexcept { return {}; }

 private:
  const PageSet& set_;
  const Pages within_;
};

class PageSet {
 public:
  PageSet() noexcept = default;

  /// Bytes of zeroed memory that a set over `pages` pages needs.
  static std::size_t bytes_for(std::uint64_t pages) noexcept;
  /// Takes its memory: zeroed, of bytes_for(pages), and outliving the set.
  PageSet(std::byte* memory, std::uint64_t pages) noexcept;

  /// May be asked without a lock; then it is a hint.
  bool contains(Page p) const noexcept {
    return (std::atomic_ref(levels_[0][p.value / 64]).load(std::memory_order_relaxed) >> (p.value % 64) & 1) != 0;
  }
  std::uint64_t count() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }

  /// Any of them may be members already. Cost: a word for each 64 pages.
  void insert(Pages run) noexcept;
  void erase(Pages run) noexcept;
  void clear() noexcept;

  /// The first member at or after `from`, or end().
  Page next(Page from) const noexcept;
  /// The first page at or after `from` that is no member, or end(). Cost: a word for each 64 members passed.
  Page next_absent(Page from) const noexcept { return next_absent(from, end()); }
  /// The same before `limit`, or `limit`.
  Page next_absent(Page from, Page limit) const noexcept;
  /// The page behind the last member before `limit`; page 0 where there is none.
  Page end_before(Page limit) const noexcept;
  /// The first run of members at or after `from`; its count is 0 when there is none.
  Pages next_run(Page from) const noexcept;
  /// All runs of members, or those in a part: `for (const Pages run : set.runs())`. Members may come and go meanwhile.
  RunsOf runs() const noexcept { return {*this, {{0}, pages_}}; }
  RunsOf runs(Pages within) const noexcept { return {*this, within}; }
  /// Whether any page of the run is a member.
  bool intersects(Pages run) const noexcept { return next(run.first) < run.end(); }
  Page end() const noexcept { return {pages_}; }

 private:
  static constexpr int level_count = 5;  // 64^5 pages and more at the top word by word

  void set_bits(int level, std::uint64_t word, std::uint64_t mask) noexcept;
  void clear_bits(int level, std::uint64_t word, std::uint64_t mask) noexcept;
  std::uint64_t next_bit(int level, std::uint64_t from) const noexcept;
  std::uint64_t end_of_bits(int level, std::uint64_t limit) const noexcept;

  std::uint64_t* levels_[level_count] = {};  // a bit of level n+1 says whether a word of level n has any
  std::uint64_t bits_[level_count] = {};
  std::uint64_t pages_ = 0;
  std::uint64_t count_ = 0;
};

inline void RunsOf::Iterator::find(Page from) noexcept {
  const Page first = std::min(set_.next(from), end_);
  run_ = {first, first < end_ ? set_.next_absent(first, end_) - first : 0};
}

/// Calls f(run) for the runs of members of one set that are not members of another.
template <class F>
void for_each_run_less(const PageSet& set, const PageSet& less, F&& f) {
  for (const Pages run : set.runs()) {
    for (Page p = run.first; p < run.end();) {
      const Page end = less.empty() ? run.end() : std::min(less.next(p), run.end());
      if (p < end) f(Pages{p, end - p});
      p = end < run.end() ? less.next_absent(end, run.end()) : end;
    }
  }
}

}  // namespace cow

// What a merge is going to write, worked out page by page before anything is written. No lock is held, and other
// threads do not write the arena meanwhile. Allocates by the books only: the heap in the arena may be what serves
// operator new, and is locked meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena/version_content.hpp"
#include "books/arena_books.hpp"
#include "cow/merge.hpp"
#include "kernel/book_memory.hpp"
#include "merge/regions.hpp"
#include "rule/known_writes.hpp"

namespace cow {

/// What each side has changed since the base: sorted, disjoint runs.
struct SidesChanged {
  BookVector<Pages> ours, theirs;
};

class MergePlan {
 public:
  /// `theirs` and `base` are open. All of them outlive the plan.
  MergePlan(ArenaBooks& books, VersionContent& base, VersionContent& theirs, const MergeOptions& options,
            const Regions& regions) noexcept
      : books_(books), base_(base), theirs_(theirs), options_(options), regions_(regions) {}

  os::Error work_out(const SidesChanged& changed) noexcept;

  bool heaps_collide() const noexcept { return our_books_ && their_books_; }
  /// Whether it writes where books of a heap lie, or would: what theirs freed is free then.
  bool takes_heap_books() const noexcept { return takes_heap_books_; }
  bool refused() const noexcept;
  std::span<const PageWrite> writes() const noexcept { return writes_.span(); }
  const NearPages& near() const noexcept { return theirs_.near(); }
  std::span<const ByteRange> conflicts() const noexcept { return conflicts_.span(); }
  std::uint64_t pages_taken = 0, pages_merged = 0, bytes_changed = 0;

 private:
  /// One page that someone has changed.
  struct Candidate {
    Page page;
    bool by_us, by_them;
  };

  bool wants(const Candidate& page) const noexcept;
  bool needs_memory(const Candidate& page) const noexcept;
  os::Error add_sources(const Candidate& page) noexcept;
  os::Result<Sides> sides_of(const Candidate& page) noexcept;
  os::Error merge_all() noexcept;
  os::Error merge_page(const Candidate& page) noexcept;
  os::Error put_together(const Candidate& page, const Sides& sides) noexcept;
  os::Error list_conflicts(const Sides& sides, std::size_t offset) noexcept;
  os::Error write(const Candidate& page, const std::byte* from, const std::byte* nearer) noexcept;
  os::Error take_memory(std::uint64_t pages) noexcept;
  void begin_again() noexcept;
  void look_at_heap_books(const Candidate& page, const Sides& sides) noexcept;
  Sides round_regions(const Sides& sides, std::size_t offset) noexcept;

  ArenaBooks& books_;
  VersionContent& base_;
  VersionContent& theirs_;
  const MergeOptions& options_;
  const Regions& regions_;

  BookVector<Candidate> candidates_;
  BookVector<PageWrite> writes_;
  BookVector<ByteRange> conflicts_;
  BookBuffer memory_;   // of pages that are put together
  std::size_t used_ = 0;
  BookBuffer scratch_;  // three pages: each side without the regions' bytes, and the base
  std::size_t heap_books_ = 0;
  bool takes_heap_books_ = false;
  bool our_books_ = false, their_books_ = false;  // whether that side has changed a heap's books, as the other has not
};

}  // namespace cow

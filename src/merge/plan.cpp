// See merge/plan.hpp.
#include "merge/plan.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "merge/compare.hpp"
#include "merge/granules.hpp"
#include "merge/heap_books.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

/// Calls f(page, by_us, by_them) for each page of either list, ascending, until one fails.
template <class F>
os::Error for_each_changed(const SidesChanged& changed, F&& f) {
  const Pages *ours = changed.ours.begin(), *theirs = changed.theirs.begin();
  for (Page p{0};; ++p) {
    while (ours != changed.ours.end() && ours->end() <= p) ++ours;
    while (theirs != changed.theirs.end() && theirs->end() <= p) ++theirs;
    const Page none{std::numeric_limits<std::uint64_t>::max()};
    const Page next_ours = ours == changed.ours.end() ? none : std::max(ours->first, p);
    const Page next_theirs = theirs == changed.theirs.end() ? none : std::max(theirs->first, p);
    p = std::min(next_ours, next_theirs);
    if (p == none) return {};
    if (const os::Error error = f(p, next_ours == p, next_theirs == p)) return error;
  }
}

bool same(const std::byte* a, const std::byte* b, std::size_t bytes) noexcept {
  return a == b || std::memcmp(a, b, bytes) == 0;
}

/// Whether `a` has a byte that neither `b` nor `c` has there.
bool has_of_its_own(const std::byte* a, const std::byte* b, const std::byte* c, std::size_t bytes) noexcept {
  for (std::size_t at = next_difference(a, b, 0, bytes, 1); at < bytes; at = next_difference(a, b, at + 1, bytes, 1)) {
    if (a[at] != c[at]) return true;
  }
  return false;
}

}  // namespace

bool MergePlan::refused() const noexcept {
  return options_.on_conflict == OnConflict::refuse && !conflicts_.empty() &&
         !mutant(Mutant::merge_writes_what_it_can);
}

/// What theirs has not changed stays, but where a region is to be as theirs; and what either side excludes.
bool MergePlan::wants(const Candidate& page) const noexcept {
  if (books_.is_excluded(page.page) || theirs_.is_excluded(page.page)) return false;
  const std::size_t begin = books_.bytes(page.page.value), end = begin + books_.bytes(1);
  return page.by_them || begin < heap_books_ || regions_.has(MergeRule::take_theirs, begin, end);
}

bool MergePlan::needs_memory(const Candidate& page) const noexcept {
  if (page.by_us && page.by_them) return true;
  const std::size_t begin = books_.bytes(page.page.value);
  return !regions_.in(begin, begin + books_.bytes(1)).empty();
}

os::Error MergePlan::add_sources(const Candidate& page) noexcept {
  const Pages one{page.page, 1};
  const os::Error error = touch_what_may_vanish(books_, one, os::Access::read);
  return error ? error : theirs_.add(one);
}

os::Result<Sides> MergePlan::sides_of(const Candidate& page) noexcept {
  const std::byte* const ours = content_known_to_books(books_, page.page);
  const std::byte* const theirs = theirs_.at(page.page);
  os::Result<const std::byte*> base{page.by_us ? theirs : ours, {}};
  if (page.by_us && page.by_them) base = base_.read(page.page, scratch_.data() + books_.bytes(2));
  return {{ours, base.value, theirs, books_.bytes(1)}, base.error};
}

os::Error MergePlan::work_out(const SidesChanged& changed) noexcept {
  const memory_sanitizer::ChecksOff off;
  if (const os::Error error = touch_what_may_vanish(books_, {{0}, 1}, os::Access::read)) return error;
  heap_books_ = heap_books_bytes(books_.base, books_.bytes(books_.pages));
  std::uint64_t pages = 0;
  candidates_.shrink_to(0);
  os::Error error = for_each_changed(changed, [&](Page p, bool by_us, bool by_them) {
    const Candidate page{p, by_us, by_them};
    if (!wants(page)) return os::Error{};
    pages += needs_memory(page) ? 1 : 0;
    const os::Error failed = candidates_.push_back(page);
    return failed ? failed : add_sources(page);
  });
  if (!error) error = take_memory(pages);
  if (error) return error;
  for (;;) {
    begin_again();
    const VersionContent::Nearby nearby(theirs_);
    error = merge_all();
    if (error || nearby.held()) return error;  // else some of their pages have moved meanwhile
  }
}

/// What takes most of the time with scattered pages is to reach them.
os::Error MergePlan::merge_all() noexcept {
  constexpr std::size_t ahead = 4;
  const std::span<const Candidate> pages = candidates_.span();
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (i + ahead < pages.size()) books_.table.fetch_ahead(pages[i + ahead].page);
    if (i + 1 < pages.size()) {
      fetch_page_ahead(content_known_to_books(books_, pages[i + 1].page));
      fetch_page_ahead(theirs_.at(pages[i + 1].page));
    }
    if (const os::Error error = merge_page(pages[i])) return error;
  }
  return {};
}

os::Error MergePlan::take_memory(std::uint64_t pages) noexcept {
  if (pages != 0) {
    os::Result<BookBuffer> memory = BookBuffer::reserve(books_.bytes(pages));
    if (!memory) return memory.error;
    memory_ = std::move(memory.value);
  }
  os::Result<BookBuffer> scratch = BookBuffer::reserve(books_.bytes(3));
  scratch_ = std::move(scratch.value);
  return scratch.error;
}

void MergePlan::begin_again() noexcept {
  writes_.shrink_to(0);
  conflicts_.shrink_to(0);
  used_ = 0;
  our_books_ = their_books_ = takes_heap_books_ = false;
  pages_taken = pages_merged = bytes_changed = 0;
}

os::Error MergePlan::merge_page(const Candidate& page) noexcept {
  const os::Result<Sides> found = sides_of(page);
  if (!found) return found.error;
  const Sides& sides = found.value;
  const std::size_t offset = books_.bytes(page.page.value);
  if (offset < heap_books_) look_at_heap_books(page, sides);
  const bool regions = !regions_.in(offset, offset + sides.bytes).empty();
  if (regions) return put_together(page, sides);
  if (same(sides.theirs, sides.base, sides.bytes)) return {};
  const bool whole = same(sides.ours, sides.base, sides.bytes) || mutant(Mutant::merge_takes_pages_of_both);
  if (!whole) return put_together(page, sides);
  ++pages_taken;
  bytes_changed += count_different(sides.ours, sides.theirs, sides.bytes);
  return write(page, theirs_.lasting(page.page), sides.theirs);
}

/// The regions' bytes show as unchanged on either side: no granule is taken for their sake, nor conflicts.
Sides MergePlan::round_regions(const Sides& sides, std::size_t offset) noexcept {
  const std::span<const Regions::Part> parts = regions_.in(offset, offset + sides.bytes);
  if (parts.empty()) return sides;
  std::byte *const ours = scratch_.data(), *const theirs = ours + sides.bytes;
  std::memcpy(ours, sides.ours, sides.bytes);
  std::memcpy(theirs, sides.theirs, sides.bytes);
  for_each_piece(parts, offset, sides.bytes, [&](std::size_t begin, std::size_t end, MergeRule) {
    std::memcpy(ours + begin, sides.base + begin, end - begin);
    std::memcpy(theirs + begin, sides.base + begin, end - begin);
  });
  return {ours, sides.base, theirs, sides.bytes};
}

os::Error MergePlan::put_together(const Candidate& page, const Sides& sides) noexcept {
  std::byte* const out = memory_.data() + used_;
  const std::size_t offset = books_.bytes(page.page.value);
  const Sides plain = round_regions(sides, offset);
  if (merge_granules(plain, options_.granule, options_.on_conflict == OnConflict::take_theirs, out)) {
    if (const os::Error error = list_conflicts(plain, offset)) return error;
  }
  for_each_piece(regions_.in(offset, offset + sides.bytes), offset, sides.bytes,
                 [&](std::size_t begin, std::size_t end, MergeRule rule) { apply_rule(rule, sides, begin, end, out); });
  const bool both = page.by_us && page.by_them;
  pages_merged += both ? 1 : 0;
  const std::uint64_t different = count_different(sides.ours, out, sides.bytes);
  if (different == 0) return {};
  pages_taken += both ? 0 : 1;
  bytes_changed += different;
  used_ += sides.bytes;
  return write(page, out, out);
}

os::Error MergePlan::list_conflicts(const Sides& sides, std::size_t offset) noexcept {
  const std::size_t granule = options_.granule;
  for (std::size_t at = next_conflict(sides, granule, 0); at < sides.bytes;
       at = next_conflict(sides, granule, at + granule)) {
    if (!conflicts_.empty() && conflicts_.back().offset + conflicts_.back().bytes == offset + at) {
      conflicts_.back().bytes += granule;
    } else if (const os::Error error = conflicts_.push_back({offset + at, granule})) {
      return error;
    }
  }
  return {};
}

void MergePlan::look_at_heap_books(const Candidate& page, const Sides& sides) noexcept {
  const std::size_t offset = books_.bytes(page.page.value), bytes = std::min(sides.bytes, heap_books_ - offset);
  const Sides plain = round_regions(sides, offset);
  our_books_ = our_books_ || has_of_its_own(plain.ours, plain.base, plain.theirs, bytes);
  their_books_ = their_books_ || has_of_its_own(plain.theirs, plain.base, plain.ours, bytes);
}

os::Error MergePlan::write(const Candidate& page, const std::byte* from, const std::byte* nearer) noexcept {
  const auto place = detail::Geometry::of(books_.bytes(books_.pages)).first_unit * detail::unit_bytes;
  takes_heap_books_ = takes_heap_books_ || books_.bytes(page.page.value) < place;
  return writes_.push_back({page.page, from, nearer});
}

}  // namespace cow

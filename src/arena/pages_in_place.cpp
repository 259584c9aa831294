// See arena/pages_in_place.hpp. The order is Snapshot::read's: a writer logs, sets the entry, then opens the page; a
// page that moves shows its new frame a moment before its entry says so, and `moves` is odd meanwhile.
#include "arena/pages_in_place.hpp"

#include "barrier/home_alias.hpp"
#include "kernel/disk.hpp"
#include "kernel/fences.hpp"

namespace cow {

PagesInPlace::PagesInPlace(Version& version, Pages run) noexcept
    : books_(version.books), run_(run), reader_(version.books.live_readers) {
  if (!pages_are_read_in_place || !reader_) return;
  moves_ = books_.moves.load(std::memory_order_acquire);
  if (moves_ % 2 != 0) return;
  for (std::uint64_t i = 0; i < run.count; ++i) {
    entries_[i] = books_.table.get(run.first + i);
    const Epoch birth = entries_[i].birth;
    if (birth == never_written || !(birth <= version.epoch)) return;
  }
  const std::byte* const at = shown();
  if (at != nullptr && os::all_in_memory(at, run.count)) data_ = at;
}

/// Where fronts may hide the frames, by the home alias. still() tells whether it held.
const std::byte* PagesInPlace::shown() const noexcept {
  if (!books_.fronts.in_use.load(std::memory_order_acquire)) return books_.address_of(run_.first);
  for (Page p = run_.first; p < run_.end(); p = p + 1) {
    if (!reached_by_alias(books_, p)) return nullptr;
  }
  return alias_of(books_, run_.first);
}

bool PagesInPlace::still() const noexcept {
  for (std::uint64_t i = 0; i < run_.count; ++i) {
    if (!books_.table.still(run_.first + i, entries_[i])) return false;
  }
  fence(std::memory_order_acquire);
  return books_.moves.load(std::memory_order_relaxed) == moves_;
}

}  // namespace cow

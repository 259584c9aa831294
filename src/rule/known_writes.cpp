// Known writes. See rule/known_writes.hpp.
#include "rule/known_writes.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "barrier/barrier.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/fences.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "rule/claim.hpp"
#include "rule/collect.hpp"
#include "rule/copy_on_write.hpp"
#include "rule/make_private.hpp"

namespace cow {
namespace {

/// Calls f(page, offset in it, from, bytes) for the parts of a write by page, until one fails.
template <class F>
os::Error for_each_part(const ArenaBooks& books, const Write& write, F&& f) COW_FAULT_LOCKED {
  const std::byte* from = static_cast<const std::byte*>(write.from);
  std::size_t at = static_cast<std::size_t>(static_cast<const std::byte*>(write.to) - books.base);
  for (const std::size_t end = at + write.bytes; at < end;) {
    const std::size_t offset = at % books.bytes(1);
    const std::size_t bytes = std::min(books.bytes(1) - offset, end - at);
    if (const os::Error error = f(Page{at >> books.page_shift}, offset, from, bytes)) return error;
    at += bytes;
    from += bytes;
  }
  return {};
}

/// The page is the arena's own afterwards, for a store to its frame by the alias, and as protected as it was. Where the
/// alias does not reach, or the page has to move, it is writable itself.
os::Error make_private_or_writable(ArenaBooks& books, Page p, Claim claim) noexcept COW_FAULT_LOCKED {
  if (claim == Claim::excluded) return {};
  if (claim == Claim::move || !reached_by_alias(books, p)) return make_writable(books, {p, 1});
  const bool private_already = claim == Claim::none || books.birth_of(p) == books.epoch;
  if (private_already && claim != Claim::first_touch) return {};
  const os::Error error = make_private_in_place(books, {p, 1}, claim);
  if (!error) count(books.made_writable, claim, 1);
  return error;
}

/// The store that follows must not meet a page without memory, which may be one that was opened beside others.
os::Error make_ready(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  const Claim claim = claim_of(books, p);
  const bool hollow = claim == Claim::first_touch || books.hollow.contains(p);
  if (hollow) {
    if (const os::Error error = give_memory(books.family.file, books.frame_of(p), 1)) return error;
  }
  const os::Error error = make_private_or_writable(books, p, claim);
  if (!error && hollow) books.hollow.erase({p, 1});
  return error;
}

/// Making a page ready may have meant to consolidate a window, in vain, and left others protected.
os::Error keep_ready(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  if (!books.half_protected) return {};
  for (const Write& write : batch) {
    const auto once_more = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return make_private_or_writable(books, p, claim_of(books, p));
    };
    if (const os::Error error = for_each_part(books, write, once_more)) return error;
  }
  return {};
}

void store(ArenaBooks& books, Page p, std::size_t offset, const std::byte* from, std::size_t bytes) noexcept
    COW_FAULT_LOCKED {
  std::byte* const page = books.address_of(p);
  const bool past_the_mapping = !books.barrier->collects && !books.is_excluded(p) && reached_by_alias(books, p);
  if (past_the_mapping && !books.stored_to.contains(p)) books.stored_to.insert({p, 1});
  books.may_change({p, 1});
  std::memcpy((past_the_mapping ? alias_of(books, p) : page) + offset, from, bytes);
  memory_sanitizer::has_content(page + offset, bytes);
}

}  // namespace

bool reads_its_arena(const ArenaBooks& books, const Write& write) noexcept {
  const auto from = reinterpret_cast<std::uintptr_t>(write.from), base = reinterpret_cast<std::uintptr_t>(books.base);
  return from < base + books.bytes(books.pages) && base < from + write.bytes;
}

namespace {

/// Of a plain arena: the stores must not meet a lack of memory.
os::Error make_plain_ready(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  const os::Error error = open_all_half_protected(books);
  if (error) return error;
  for (const Write& write : batch) {
    const auto with_memory = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return enter_ahead(books, {p, 1}, true);
    };
    if (const os::Error failed = for_each_part(books, write, with_memory)) return failed;
  }
  return {};
}

/// Under the kernel barrier a store is all it takes.
os::Error make_stores_safe(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  const os::Error error = open_all_half_protected(books);
  if (error || books.family.file.saved().empty()) return error;
  for (const Write& write : batch) {
    const auto touch = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return touch_what_may_vanish(books, {p, 1}, os::Access::read_write);
    };
    if (const os::Error failed = for_each_part(books, write, touch)) return failed;
  }
  return {};
}

/// Afterwards nothing can fail.
os::Error make_batch_ready(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  if (is_plain(books)) return make_plain_ready(books, batch);
  if (books.barrier->collects) return make_stores_safe(books, batch);
  map_home_alias(books);  // without it pages are made writable
  for (const Write& write : batch) {
    const auto ready = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return make_ready(books, p);
    };
    if (const os::Error error = for_each_part(books, write, ready)) return error;
  }
  return keep_ready(books, batch);
}

}  // namespace

namespace {

/// All are ready still: where making one so meant to consolidate a window, all pages of that are writable now.
void store_batch(ArenaBooks& books, std::span<const Write> batch, const std::byte* staged) noexcept COW_FAULT_LOCKED {
  if (!books.barrier->collects) books.written = true;
  fence(std::memory_order_release);  // who sees the content sees the entries
  for (const Write& write : batch) {
    Write at = write;
    if (staged != nullptr) {
      const void* const copy = std::exchange(staged, staged + write.bytes);
      if (!reads_its_arena(books, write)) at.from = copy;
    }
    const auto store_part = [&](Page p, std::size_t offset, const std::byte* from, std::size_t bytes) COW_FAULT_LOCKED {
      return store(books, p, offset, from, bytes), os::Error{};
    };
    (void)for_each_part(books, at, store_part);
  }
}

}  // namespace

os::Error write_known(ArenaBooks& books, std::span<const Write> batch, const std::byte* staged) noexcept {
  if (const os::Error error = make_batch_ready(books, batch)) return error;
  store_batch(books, batch, staged);
  return {};
}

namespace {

constexpr std::uint64_t longest_part = 64;

/// Whether the arena's mapping shows the frame itself, under the kernel barrier, for all that the books tell: a front
/// would hide what is put there.
bool has_no_front(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  const Fronts& fronts = books.fronts;
  if (!fronts.taken.contains(p)) return false;
  for (const PageSet* set :
       {&fronts.present, &fronts.uncollected, &fronts.hidden, &fronts.beneath, &fronts.unwatched}) {
    if (set->contains(p)) return false;
  }
  return true;
}

/// Whether all that the page needs is that its old content is kept: then the new one goes to the frame.
bool is_written_in_its_frame(const ArenaBooks& books, Page p, Claim claim) noexcept COW_FAULT_LOCKED {
  const bool stays = claim == Claim::history || claim == Claim::sole_owner || claim == Claim::none;
  if (!stays || books.hollow.contains(p) || may_vanish(books, p) || !reached_by_alias(books, p)) return false;
  return !books.barrier->collects || (claim != Claim::none && has_no_front(books, p));
}

/// Of a page that is written in its frame: whether it is the arena's own since the last cut. Nothing is to be kept
/// then.
bool is_private_already(const ArenaBooks& books, Page p, Claim claim) noexcept COW_FAULT_LOCKED {
  return claim == Claim::none || books.birth_of(p) == books.epoch;
}

/// The run is of one kind: either all of it is private already, or nothing.
os::Error keep_what_is_there(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED {
  if (is_private_already(books, run.first, claim)) return {};
  const os::Error error = make_private_in_place(books, run, claim);
  if (!error) count(books.made_writable, claim, run.count);
  return error;
}

/// Of a batch of pages, those that are written in their frames, and the others.
struct SortedPages {
  BookVector<PageWrite> in_frames;
  BookVector<Write> others;
};

/// What most of the time goes into is to reach the books of scattered pages, and their content.
void fetch_ahead(const ArenaBooks& books, std::span<const PageWrite> to_come) noexcept COW_FAULT_LOCKED {
  constexpr std::size_t ahead = 4;
  if (to_come.size() > ahead) fetch_claim_ahead(books, to_come[ahead].page);
  if (!to_come.empty()) fetch_page_ahead(content_known_to_books(books, to_come.front().page));
}

os::Error sort_and_keep(ArenaBooks& books, std::span<const PageWrite> batch, SortedPages& pages) noexcept
    COW_FAULT_LOCKED {
  if (const os::Error error = pages.in_frames.make_room(batch.size())) return error;
  for (std::size_t i = 0; i < batch.size();) {
    const Page p = batch[i].page;
    const Claim claim = claim_of(books, p);
    if (!is_written_in_its_frame(books, p, claim)) {
      const Write write{books.address_of(p), batch[i++].from, books.bytes(1)};
      if (const os::Error error = pages.others.push_back(write)) return error;
      continue;
    }
    const bool private_already = is_private_already(books, p, claim);
    Pages part{p, 0};
    const auto joins = [&](const PageWrite& next) COW_FAULT_LOCKED {
      return part.count == 0 || (part.count < longest_part && next.page == part.end() &&
                                 claim_of(books, next.page) == claim &&
                                 is_private_already(books, next.page, claim) == private_already &&
                                 is_written_in_its_frame(books, next.page, claim));
    };
    for (; i < batch.size() && joins(batch[i]); ++i, ++part.count) pages.in_frames.append(batch[i]);
    fetch_ahead(books, batch.subspan(i));
    if (const os::Error error = keep_what_is_there(books, part, claim)) return error;
  }
  return {};
}

/// As keep_ready() does for the others: windows that were consolidated for their sake may have taken pages along. No
/// page has to move any more by now, in this pass or in the one before, and what counts as writable is opened where it
/// is, or with a window all of which is: neither closes what was opened before.
os::Error keep_pages_ready(ArenaBooks& books, const BookVector<PageWrite>& in_frames) noexcept COW_FAULT_LOCKED {
  if (!books.half_protected || books.barrier->collects) return {};
  for (const PageWrite& write : in_frames) {
    const os::Error error = make_private_or_writable(books, write.page, claim_of(books, write.page));
    if (error) return error;
  }
  return {};
}

const std::byte* source_of(const PageWrite& write, bool near) noexcept { return near ? write.nearer : write.from; }
bool reads_file(const PageWrite& write, const std::byte* from) noexcept {
  return write.frame != zero_frame && from == write.from;
}

/// Whether the frames have been read to where the alias shows the run.
bool read_frames(const ArenaBooks& books, Frame first, Pages run) noexcept COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  return !os::read_at(file.fd(first), alias_of(books, run.first), books.bytes(run.count), file.offset(first));
}

/// Where the alias has not been used for a page before it would take a fault, which costs more than going by the file.
/// Under the kernel barrier it has reached all.
void store_in_frames(ArenaBooks& books, Pages run, const PageWrite& first, const std::byte* from) noexcept
    COW_FAULT_LOCKED {
  bool by_alias = books.barrier->collects || books.stored_to.contains(run.first);
  books.stored_to.insert(run);  // the next time it is worth the fault
  books.may_change(run);
  if (!by_alias) {
    const FrameFile& file = books.family.file;
    const Frame frame = books.home->frame_of(run.first);
    by_alias = static_cast<bool>(os::write_at(file.fd(frame), from, books.bytes(run.count), file.offset(frame)));
  }
  if (by_alias && !(reads_file(first, from) && read_frames(books, first.frame, run))) {
    std::memcpy(alias_of(books, run.first), from, books.bytes(run.count));
  }
  memory_sanitizer::has_content(books.address_of(run.first), books.bytes(run.count));
}

void store_pages(ArenaBooks& books, const BookVector<PageWrite>& pages, bool near) noexcept COW_FAULT_LOCKED {
  for (const PageWrite* write = pages.begin(); write != pages.end();) {
    const std::byte* const from = source_of(*write, near);
    Pages run{write->page, 1};
    if (!reached_by_alias(books, run.first)) {  // a window was consolidated, all pages of which are writable
      store(books, run.first, 0, from, books.bytes(1));
      ++write;
      continue;
    }
    const PageWrite& first = *write;
    const bool known = books.stored_to.contains(run.first);
    const auto goes_on = [&](const PageWrite& next) COW_FAULT_LOCKED {
      return next.page == run.end() && books.stored_to.contains(next.page) == known &&
             source_of(next, near) == from + books.bytes(run.count) && reached_by_alias(books, next.page) &&
             reads_file(next, source_of(next, near)) == reads_file(first, from);
    };
    for (++write; write != pages.end() && goes_on(*write); ++write) ++run.count;
    store_in_frames(books, run, first, from);
  }
}

/// Of pages that were prepared a device may have fronts that nobody has written, and no book names: those go on hiding
/// what was put in the frames, and are stored to as well. Only reading them tells: the kernel may have taken a front out,
/// or be moving it, and a page table says of that what it says of none.
void store_in_unknown_fronts(ArenaBooks& books, const BookVector<PageWrite>& pages) noexcept COW_FAULT_LOCKED {
  for (const PageWrite& write : pages) {
    if (!books.fronts.counted_on.contains(write.page)) continue;
    std::byte* const shown = books.address_of(write.page);
    const std::byte* const frame = alias_of(books, write.page);
    if (std::memcmp(shown, frame, books.bytes(1)) != 0) std::memcpy(shown, frame, books.bytes(1));
  }
}

}  // namespace

os::Error write_known_pages(ArenaBooks& books, std::span<const PageWrite> batch, const NearPages& near) noexcept {
  if (!is_plain(books)) map_home_alias(books);
  SortedPages pages;
  if (const os::Error error = sort_and_keep(books, batch, pages)) return error;
  if (const os::Error error = make_batch_ready(books, pages.others.span())) return error;
  if (const os::Error error = keep_pages_ready(books, pages.in_frames)) return error;
  store_batch(books, pages.others.span(), nullptr);
  if (pages.in_frames.empty()) return {};
  books.written = true;
  fence(std::memory_order_release);  // who sees the content sees the entries
  const NearPages::Reading reading(near);
  store_pages(books, pages.in_frames, static_cast<bool>(reading));
  if (reading && !near.still()) store_pages(books, pages.in_frames, false);
  if (books.barrier->collects) store_in_unknown_fronts(books, pages.in_frames);
  return {};
}

}  // namespace cow

// Excluding. See rule/exclude.hpp.
#include "rule/exclude.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "kernel/pagemap.hpp"
#include "rule/claim.hpp"
#include "rule/make_private.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

/// Who stores to the run waits in the handler from here on.
os::Error hold_writers_back(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (books.barrier->collects) {
    return os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read);
  }
  for (const Pages open : books.writable.runs(run)) {
    if (const os::Error error = books.barrier->protect(books, open)) return error;
  }
  return {};
}

void let_writers_go_on(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const bool failed = books.barrier->collects ? static_cast<bool>(books.barrier->open_all(books))
                                              : static_cast<bool>(open_again(books, run));
  if (failed) books.half_protected = true;
}

/// From `p` on and before `end`, the first page of a fresh extent that has memory in the file; else `end`.
os::Result<Page> next_with_memory(const ArenaBooks& books, Page p, Page end) noexcept {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of(p);
  const os::Result<std::uint64_t> found = os::next_allocated(file.fd(home), file.offset(home));
  if (found.error.code == ENXIO) return {end, {}};
  if (!found) return {end, found.error};
  return {std::min(p + (found.value - file.offset(home)) / file.page_bytes(), end), {}};
}

/// What a run shows, as private memory beside it.
class PrivateCopy {
 public:
  explicit PrivateCopy(Pages run) noexcept : run_(run) {}
  ~PrivateCopy() {
    if (at_ != nullptr) os::unmap(at_, bytes_);
  }
  PrivateCopy(const PrivateCopy&) = delete;
  PrivateCopy& operator=(const PrivateCopy&) = delete;

  os::Error reserve(const ArenaBooks& books) noexcept {
    bytes_ = books.bytes(run_.count);
    const os::Result<void*> got = os::reserve_books(bytes_);
    at_ = static_cast<std::byte*>(got.value);
    if (got && os::is_locked(books.address_of(run_.first), bytes_)) os::lock_where_touched(at_, bytes_);
    if (got && !books.in_core_dumps) os::hide_from_core_dumps(at_, bytes_);
    return got.error;
  }

  /// Nobody writes the run. What reads as zero takes no memory, but for what may vanish. `free`: has room for the run.
  os::Error fill(const ArenaBooks& books, const Plane& free) noexcept COW_FAULT_LOCKED {
    for (Page p = run_.first; p < run_.end(); ++p) {
      if (books.barrier->collects && !books.fronts.taken.contains(p)) {
        const os::Result<Page> next = next_with_memory(books, p, std::min(run_.end(), books.fronts.taken.next(p)));
        if (!next) return next.error;
        p = next.value;
        if (p == run_.end()) break;
      } else if (!books.barrier->collects && claim_of(books, p) == Claim::first_touch) {
        continue;
      }
      std::byte* const to = at_ + books.bytes(p - run_.first);
      const bool fresh = books.barrier->collects && !books.fronts.taken.contains(p);
      if (!fresh && may_vanish(books, p)) {
        if (const os::Error error = copy_by_kernel(books, p, free.frame_of(p), to)) return error;
      } else if (!fronts::reads_as_zero(books, p)) {
        copy_bytes(to, books.address_of(p), books.bytes(1));
      }
    }
    return {};
  }

  os::Error show(const ArenaBooks& books) noexcept {
    const os::Error error = os::move_over(at_, bytes_, books.address_of(run_.first));
    if (!error) at_ = nullptr;
    return error;
  }

 private:
  /// By way of a frame that holds nothing. EFAULT where reading the page would be SIGBUS.
  static os::Error copy_by_kernel(const ArenaBooks& books, Page p, Frame by, std::byte* to) noexcept COW_FAULT_LOCKED {
    FrameFile& file = books.family.file;
    const std::size_t bytes = books.bytes(1);
    os::Error error = os::write_at(file.fd(by), books.address_of(p), bytes, file.offset(by));
    if (!error) error = os::read_at(file.fd(by), to, bytes, file.offset(by));
    (void)take_content_away(file, by, 1);
    return error;
  }

  Pages run_;
  std::byte* at_ = nullptr;
  std::size_t bytes_ = 0;
};

/// What was stored to fresh pages is in frames of home that no book names.
void empty_fresh_frames(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end(); ++p) {
    if (books.fronts.taken.contains(p) || claim_of(books, p) != Claim::first_touch) continue;
    {
      FaultLockHeld held(books.family.file.lock());
      if (books.home->used.contains(p)) continue;
    }
    (void)take_content_away(books.family.file, books.home->frame_of(p), 1);
  }
}

void forget(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  for (PageSet* set : {&books.away, &books.hollow, &books.writable, &books.opened, &books.prepared, &books.staying,
                       &books.recurring, &books.written_twice, &books.came_along.unseen,
                       &books.came_along.unchanged}) {
    set->erase(run);
  }
  Fronts& fronts = books.fronts;
  for (PageSet* set : {&fronts.taken, &fronts.unwatched, &fronts.uncollected, &fronts.beneath, &fronts.hidden,
                       &fronts.present, &fronts.warm, &fronts.counted_on}) {
    set->erase(run);
  }
}

/// Excluded pages beside each other are one mapping only where they were excluded at once.
void count_seams(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const std::uint64_t seams = (run.first.value != 0 && books.is_excluded(run.first - 1) ? 1u : 0u) +
                              (run.end().value < books.pages && books.is_excluded(run.end()) ? 1u : 0u);
  books.excluded_seams += seams;
  books.count_mappings(seams);
}

/// The private memory shows. What was shown before is given to the newest version, or up: the pages move to frames that
/// hold nothing.
void enter_excluded(ArenaBooks& books, Plane& plane, Pages run) noexcept COW_FAULT_LOCKED {
  if (books.barrier->collects && &plane != books.home) empty_fresh_frames(books, run);
  enter_moved(books, plane, run);
  if (!mutant(Mutant::excluded_frames_keep_content)) {
    (void)take_content_away(books.family.file, plane.frame_of(run.first), run.count);
  }
  count_seams(books, run);
  forget(books, run);
  books.blank.insert(run);
  books.excluded.insert(run);  // after their births: see ArenaBooks::is_excluded_at()
  books.last_exclusion.store(books.epoch.value, std::memory_order_release);
  books.any_excluded.store(true, std::memory_order_release);
  books.written = true;
}

}  // namespace

os::Error exclude(ArenaBooks& books, Pages run) noexcept {
  if (books.newest != nullptr) {
    if (const os::Error error = UndoLog::make_room(books.log_memory, run.count)) return error;
  }
  const os::Result<Plane*> plane = plane_with_room(books, run);
  if (!plane) return plane.error;
  PrivateCopy copy(run);
  if (const os::Error error = copy.reserve(books)) return error;
  const Edges before = books.edges(run);
  os::Error error = hold_writers_back(books, run);
  if (!error) error = copy.fill(books, *plane.value);
  if (!error) {
    const Moving moving(books);
    error = copy.show(books);
    if (!error) enter_excluded(books, *plane.value, run);
  }
  if (error) return let_writers_go_on(books, run), error;
  books.count_mappings(before, books.edges(run));
  return {};
}

void make_excluded_blank(ArenaBooks& books, Pages run) noexcept {
  for (const Pages part : books.excluded.runs(run)) {
    void* const at = books.address_of(part.first);
    const std::size_t bytes = books.bytes(part.count);
    if (os::drop_private(at, bytes)) std::memset(at, 0, bytes);  // locked into memory, say
    memory_sanitizer::has_content(at, bytes);
  }
}

void exclude_as_in(const Version& version, ArenaBooks& clone) noexcept COW_HELD_UNCHECKED {
  const ArenaBooks& of = version.books;
  for (Page p = of.excluded.next({0}); p != of.excluded.end(); p = of.excluded.next(p + 1)) {
    if (!of.is_excluded_at(p, version.epoch)) continue;
    clone.table.set(p, {first_epoch, clone.home->index});
    for (PageSet* set : {&clone.own, &clone.blank, &clone.excluded}) set->insert({p, 1});
    clone.last_exclusion.store(first_epoch.value, std::memory_order_release);
  }
  clone.blocks_there.store(of.blocks_there.load(std::memory_order_acquire), std::memory_order_release);
  clone.any_excluded.store(!clone.excluded.empty(), std::memory_order_release);
}

os::Error map_excluded(ArenaBooks& clone) noexcept COW_FAULT_LOCKED {
  for (const Pages run : clone.excluded.runs()) {
    void* const at = clone.address_of(run.first);
    if (const os::Error error = os::map_private_zero(at, clone.bytes(run.count))) return error;
    clone.count_mappings(2);
  }
  return {};
}

}  // namespace cow

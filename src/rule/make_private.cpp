// Making pages private. See rule/make_private.hpp.
#include "rule/make_private.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "barrier/barrier.hpp"
#include "barrier/home_alias.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

constexpr std::uint64_t batch = 64;  // pages whose frames are taken under one hold of the file's lock

os::Error make_log_room(ArenaBooks& books, std::uint64_t entries) noexcept COW_FAULT_LOCKED {
  return books.newest == nullptr ? os::Error{} : UndoLog::make_room(books.log_memory, entries);
}

void set_birth(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end(); ++p) {
    PageTable::Entry entry = books.table.get(p);
    if (entry.birth == never_written) entry.plane = books.home->index;
    if (!mutant(Mutant::birth_not_advanced) || entry.birth == never_written) entry.birth = books.epoch;
    books.table.set(p, entry);
  }
}

void log_as_zero(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (books.newest == nullptr || mutant(Mutant::zero_page_not_logged)) return;
  for (Page p = run.first; p < run.end(); ++p) {
    const Epoch birth = books.table.get(p).birth;  // not never_written where the page was discarded
    if (birth <= books.newest->epoch) books.newest->log.append(books.log_memory, {p, zero_frame, birth, false});
  }
}

void touch_first(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  log_as_zero(books, run);
  books.own.insert(run);
  books.hollow.insert(run);
  set_birth(books, run);
  FaultLockHeld held(books.family.file.lock());
  for (Page p = run.first; p < run.end();) {
    const std::uint32_t index = books.table.get(p).plane;
    Page end = p + 1;
    while (end < run.end() && books.table.get(end).plane == index) ++end;
    books.family.file.plane(index).used.insert({p, end - p});
    p = end;
  }
  books.blank.erase(run);
}

/// Whether this write follows one a few intervals before, and that one another.
void note_recurrence(ArenaBooks& books, Page p, Epoch birth) noexcept COW_FAULT_LOCKED {
  constexpr std::uint64_t few_intervals = 4;
  if (birth + few_intervals < books.epoch) {
    books.written_twice.erase({p, 1});
  } else if (books.written_twice.contains(p)) {
    books.recurring.insert({p, 1});
  } else {
    books.written_twice.insert({p, 1});
  }
}

/// The content of the frame that the books name for page p, which a front may hide in the arena's mapping.
os::Error read_frame(const ArenaBooks& books, Page p, std::byte* into) noexcept COW_FAULT_LOCKED {
  const std::byte* from = books.address_of(p);
  if (books.fronts.in_use.load(std::memory_order_relaxed)) {
    if (!reached_by_alias(books, p)) {
      const Frame frame = books.frame_of(p);
      return os::read_at(books.family.file.fd(frame), into, books.bytes(1), books.family.file.offset(frame));
    }
    from = alias_of(books, p);
  }
  copy_bytes(into, from, books.bytes(1));
  return {};
}

/// Copies before-images to history and logs them. At most `batch` pages; a failure leaves those behind it as they were.
os::Error keep_in_history(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  History& history = books.family.file.history();
  Frame frames[batch];
  {
    FaultLockHeld held(books.family.file.lock());
    if (const os::Error error = history.make_room(run.count)) return error;
    for (std::uint64_t i = 0; i < run.count; ++i) frames[i] = history.take();
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const Page p = run.first + i;
    if (const os::Error error = read_frame(books, p, history.address(frames[i]))) {
      FaultLockHeld held(books.family.file.lock());
      for (; i < run.count; ++i) history.give_back(frames[i]);
      return error;
    }
    const Epoch birth = books.table.get(p).birth;
    if (birth.value <= books.lender.lent_epoch.load(std::memory_order_relaxed)) ++books.lent_pages_kept;
    books.newest->log.append(books.log_memory, {p, frames[i], birth, true});
    note_recurrence(books, p, birth);
    set_birth(books, {p, 1});
  }
  books.hollow.erase(run);  // reading them has given memory to those that had none
  return {};
}

/// Through the file, since the pages may be protected. What has memory can be written; what has none reads as zero
/// already.
void fill_with_zeros(const FrameFile& file, Frame first, std::uint64_t count) noexcept {
  os::overwrite_with_zeros(file.fd(first), file.offset(first), count * file.page_bytes());
}

/// Calls f(pages) for the parts of a run whose frames have no memory, as far as the kernel tells.
template <class F>
void for_each_part_without_memory(const FrameFile& file, const Run& run, F&& f) noexcept {
  const os::Descriptor& fd = file.fd(run.frame);
  const std::uint64_t begin = file.offset(run.frame), end = begin + run.count * file.page_bytes();
  const auto page_at = [&](std::uint64_t offset) { return run.first + (offset - begin) / file.page_bytes(); };
  for (std::uint64_t at = begin; at < end;) {
    const os::Result<std::uint64_t> found = os::next_allocated(fd, at);
    if (found.error && found.error.code != ENXIO) return;
    const std::uint64_t allocated = found ? std::min(found.value, end) : end;
    if (at < allocated) f(Pages{page_at(at), page_at(allocated) - page_at(at)});
    if (allocated == end) return;
    const os::Result<std::uint64_t> hole = os::next_hole(fd, allocated);
    if (!hole) return;
    at = hole.value;
  }
}

/// The frames that the run shows have lost their memory. Others may be reading the pages, or storing to them; and who
/// reads a page while its memory is taken away may make it one that can be written, protected though it was
/// (userfaultfd: truncation drops the marker of a page that came back meanwhile). So they are protected after that, and
/// what has memory again by then, from a reader or with a store, stays a page of the arena's own.
void call_blank(ArenaBooks& books, const Run& run) noexcept COW_FAULT_LOCKED {
  const Pages pages{run.first, run.count};
  books.hollow.insert(pages);
  const Edges before = books.edges(pages);
  if (books.barrier->protect(books, pages)) {
    books.half_protected = true;
    return;
  }
  books.writable.erase(pages);
  books.count_mappings(before, books.edges(pages));
  FrameFile& file = books.family.file;
  for_each_part_without_memory(file, run, [&](Pages part) COW_HELD_UNCHECKED {
    books.blank.insert(part);
    FaultLockHeld held(file.lock());
    file.plane_of(run.frame).used.erase(part);
  });
}

/// The pages from `first` on whose frames follow each other.
Pages run_of_frames(const ArenaBooks& books, Page first, Page end) noexcept COW_FAULT_LOCKED {
  const Frame frame = books.frame_of(first);
  Page p = first + 1;
  while (p < end && books.frame_of(p) == frame + (p - first)) ++p;
  return {first, p - first};
}

bool has_room(ArenaBooks& books, Plane& plane, Pages run) noexcept {
  FaultLockHeld held(books.family.file.lock());
  return !plane.used.intersects(run);
}

/// What a page showed before it moved: kept for the newest snapshot if that needs it, else given up.
void hand_over(ArenaBooks& books, Page p, FrameRelease& freed) noexcept COW_FAULT_LOCKED {
  const Epoch birth = books.birth_of(p);
  const bool empty = birth == never_written || books.blank.contains(p);
  const Frame frame = empty ? zero_frame : books.frame_of(p);
  if (birth <= books.newest_epoch() && books.newest != nullptr) {
    books.newest->log.append(books.log_memory, {p, frame, birth, !empty && birth >= first_epoch});
  } else if (birth == borrowed_birth) {
    books.family.lending.end_borrowing(books.borrower, {p, 1}, freed);
  } else if (!empty) {
    books.family.lending.release({p, 1, frame}, freed);
  }
}

}  // namespace

bool take_content_away(FrameFile& file, Frame first, std::uint64_t count) noexcept {
  if (!file.punch(first, count)) return true;
  if (!mutant(Mutant::failed_discard_keeps_content)) fill_with_zeros(file, first, count);
  return false;
}

os::Error make_private_in_place(ArenaBooks& books, Pages run, Claim claim) noexcept {
  if (claim == Claim::sole_owner) return set_birth(books, run), os::Error{};
  if (const os::Error error = make_log_room(books, run.count)) return error;
  if (claim == Claim::first_touch) return touch_first(books, run), os::Error{};
  for (Page p = run.first; p < run.end(); p = p + batch) {
    if (const os::Error error = keep_in_history(books, {p, std::min(batch, run.end() - p)})) return error;
  }
  return {};
}

os::Error open_again(ArenaBooks& books, Pages pages) noexcept {
  os::Error error;
  for (const Pages run : books.writable.runs(pages)) {
    if (const os::Error failed = books.barrier->unprotect(books, run, false)) error = failed;
  }
  return error;
}

os::Error give_memory(ArenaBooks& books, Pages pages) noexcept {
  for (const Pages run : books.hollow.runs(pages)) {
    for (Page p = run.first; p < run.end();) {
      const Pages part = run_of_frames(books, p, run.end());
      if (const os::Error error = give_memory(books.family.file, books.frame_of(p), part.count)) return error;
      books.hollow.erase(part);
      p = part.end();
    }
  }
  return {};
}

os::Error give_memory(const FrameFile& file, Frame first, std::uint64_t count) noexcept {
  return os::allocate(file.fd(first), file.offset(first), count * file.page_bytes());
}

os::Result<Plane*> plane_with_room(ArenaBooks& books, Pages run) noexcept {
  if (has_room(books, *books.home, run)) return {books.home, {}};
  if (run.first.value != 0) {
    const PageTable::Entry neighbour = books.table.get(run.first - 1);
    Plane* const near = neighbour.birth == never_written ? books.home : &books.family.file.plane(neighbour.plane);
    if (has_room(books, *near, run)) return {near, {}};
  }
  for (Plane* plane : books.planes) {
    if (has_room(books, *plane, run)) return {plane, {}};
  }
  if (const os::Error error = books.planes.make_room(1)) return {nullptr, error};
  FaultLockHeld held(books.family.file.lock());
  const os::Result<Plane*> added = books.family.file.add_plane();
  if (added) books.planes.append(added.value);
  return added;
}

os::Error fill_frames(ArenaBooks& books, Plane& plane, Pages run) noexcept COW_SIGNALS_BLOCKED {
  FrameFile& file = books.family.file;
  {
    FaultLockHeld held(file.lock());
    plane.used.insert(run);
  }
  const Frame frame = plane.frame_of(run.first);
  const os::Error error =
      os::write_at(file.fd(frame), books.address_of(run.first), books.bytes(run.count), file.offset(frame));
  if (error) free_frames(books, plane, run);
  return error;
}

void free_frames(ArenaBooks& books, Plane& plane, Pages run) noexcept COW_SIGNALS_BLOCKED {
  FrameRelease freed(books.family.file);
  freed.add(plane.frame_of(run.first), run.count);
}

void enter_moved(ArenaBooks& books, Plane& plane, Pages run) noexcept {
  FrameRelease freed(books.family.file);
  for (Page p = run.first; p < run.end(); ++p) {
    hand_over(books, p, freed);
    books.blank.erase({p, 1});
    books.hollow.erase({p, 1});
    books.own.insert({p, 1});
    if (&plane == books.home) {
      books.away.erase({p, 1});
    } else {
      books.away.insert({p, 1});
    }
    books.fronts.unshared.erase({p, 1});
    books.table.set(p, {books.epoch, plane.index});
  }
}

namespace {

/// Makes private pages writable where they are. `filled`: they have content.
os::Error unprotect_private(ArenaBooks& books, Pages run, bool filled) noexcept COW_FAULT_LOCKED {
  // Inside the run nothing becomes a mapping of its own; what can change are its two ends. Where it is not the pages'
  // being writable that splits mappings, the barrier counts what it does to them.
  const auto ends = [&]() COW_FAULT_LOCKED {
    return books.writable_pages_split ? books.edges({run.first, 0}) + books.edges({run.end(), 0}) : Edges{};
  };
  const Edges before = ends();
  const os::Error error = books.barrier->unprotect(books, run, filled);
  // Some pages may be open: all count as writable, so that the next snapshot protects them.
  if (error) books.half_protected = true;
  books.call_writable(run);
  books.written = true;
  books.count_mappings(before, ends());
  return error;
}

/// The run gets frames of its own, neighbours on one plane, and is writable.
os::Error move_to_own_frames(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (const os::Error error = make_log_room(books, run.count)) return error;
  const os::Result<Plane*> plane = plane_with_room(books, run);
  if (!plane) return plane.error;
  if (const os::Error error = fill_frames(books, *plane.value, run)) return error;
  const Edges before = books.edges(run);
  const Moving moving(books);
  if (const os::Error error = books.barrier->show(books, run, plane.value->frame_of(run.first))) {
    if (!mutant(Mutant::failed_move_keeps_frames)) free_frames(books, *plane.value, run);
    return error;
  }
  enter_moved(books, *plane.value, run);
  books.call_writable(run);
  books.written = true;
  books.count_mappings(before, books.edges(run));
  return {};
}

}  // namespace

os::Error make_private(ArenaBooks& books, Pages run, Claim claim) noexcept {
  os::Error error;
  if (claim == Claim::move) {
    error = move_to_own_frames(books, run);
  } else {
    error = make_private_in_place(books, run, claim);
    if (!error) error = unprotect_private(books, run, claim != Claim::first_touch);
  }
  if (!error) count(books.made_writable, claim, run.count);
  return error;
}

void make_private_blank(ArenaBooks& books, Pages run) noexcept {
  for (Page p = run.first; p < run.end();) {
    const Pages part = run_of_frames(books, p, run.end());
    const Frame first = books.frame_of(p);
    if (take_content_away(books.family.file, first, part.count)) call_blank(books, {p, part.count, first});
    p = part.end();
  }
  memory_sanitizer::has_content(books.address_of(run.first), books.bytes(run.count));
  books.written = true;
}

}  // namespace cow

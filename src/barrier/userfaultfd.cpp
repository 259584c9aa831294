// userfaultfd write-protection and SIGBUS. The protection is a bit of each page, so that no mapping is split
// and the address space is not locked exclusively.
//
// The bits cost page tables, which a vast empty arena must not pay for. So everything begins read-only, as with
// mprotect, and the first touch of an extent opens it: from then on its mapping is writable and each of its pages has
// the bit.
#include <algorithm>
#include <atomic>
#include <cerrno>

#include "barrier/barrier.hpp"
#include "barrier/shared_descriptor.hpp"
#include "barrier/userfaultfd_extents.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {


/// A gap of protected pages between two writable runs that is cheaper to walk over (150 ns a page on 6.18, as much as a
/// page that changes) than a system call of its own (1.1 us).
constexpr std::uint64_t gap_worth_walking = 8;

/// Pages that show a saved file: their mappings stay read-only, and cannot be watched; a store is a SIGSEGV, and moves
/// them to frames of the arena's own. And those that are excluded: nobody watches them.
bool is_never_watched(const ArenaBooks& books, Page p) {
  if (books.is_excluded(p)) return true;
  return !books.family.file.saved().empty() && books.table.get(p).birth == never_written &&
         SavedFiles::owns(books.borrower.base.find(p));
}

bool may_have_unwatched(const ArenaBooks& books) {
  return !books.family.file.saved().empty() || books.any_excluded.load(std::memory_order_relaxed);
}

/// The first page at or behind `from` and before `end` that is never watched; else `end`. Cost: of the runs between.
/// Called with the fault lock, or before anybody else has the books.
Page next_never_watched(const ArenaBooks& books, Page from, Page end) COW_HELD_UNCHECKED {
  if (books.any_excluded.load(std::memory_order_relaxed)) end = std::min(end, books.excluded.next(from));
  if (books.family.file.saved().empty()) return end;
  const RunList& base = books.borrower.base;
  for (const Run* run = base.from(from); run != base.end() && run->first < end; ++run) {
    if (!SavedFiles::owns(run->frame)) continue;
    const Page limit = std::min(run->end(), end);
    const Page p = books.own.next_absent(std::max(run->first, from), limit);
    if (p < limit) return p;
  }
  return end;
}

/// Behind the pages from `from` on that show a saved file, one behind the other; `from` where it shows none.
Page end_of_saved(const ArenaBooks& books, Page from, Page end) COW_HELD_UNCHECKED {
  if (books.family.file.saved().empty()) return from;
  const RunList& base = books.borrower.base;
  end = std::min(end, books.own.next(from));
  for (const Run* run = base.from(from); run != base.end() && run->first <= from && from < end; ++run) {
    if (!SavedFiles::owns(run->frame)) break;
    from = std::min(run->end(), end);
  }
  return from;
}

/// The first page at or behind `from` and before `end` that is watched; else `end`. Cost and lock as above.
Page next_watched(const ArenaBooks& books, Page from, Page end) {
  while (from < end) {
    const Page next = books.is_excluded(from) ? books.excluded.next_absent(from, end) : end_of_saved(books, from, end);
    if (next == from) return from;
    from = next;
  }
  return end;
}

Pages extent_of(const ArenaBooks& books, Page p) {
  Page first{p.value / extent_pages * extent_pages};
  const Page end = first + std::min(extent_pages, books.pages - first.value);
  if (!may_have_unwatched(books)) return {first, end - first};
  Page open = p;
  while (open > first && !is_never_watched(books, open - 1)) open = open - 1;
  return {open, next_never_watched(books, p, end) - open};
}

os::Error watch(ArenaBooks& books, Pages run) {
  return os::register_for_write_protection(books.barrier_fd, books.address_of(run.first), books.bytes(run.count));
}

/// Older kernels, such as Debian 12's, want the range to lie in one mapping and say ENOENT where moved pages have split
/// it: then in halves. All kernels say it where nobody watches the mapping: see show().
os::Error protect_range(ArenaBooks& books, Pages run, bool on) {
  const auto ask = [&] {
    return os::write_protect(books.barrier_fd, books.address_of(run.first), books.bytes(run.count), on);
  };
  const os::Error error = ask();
  if (error.code != ENOENT) return error;
  if (run.count == 1) {
    if (is_never_watched(books, run.first)) return {};
    if (mutant(Mutant::unwatched_page_is_protected)) return {};
    const os::Error unwatched = watch(books, extent_of(books, run.first));
    return unwatched ? unwatched : ask();
  }
  const std::uint64_t half = run.count / 2;
  if (const os::Error failed = protect_range(books, {run.first, half}, on)) return failed;
  return protect_range(books, {run.first + half, run.count - half}, on);
}

SharedDescriptor shared;             // one watches all arenas of the process
std::atomic<bool> always_held{true};  // each one that was opened is held open: none can be lost by closing it

os::Result<os::Descriptor> open() {
  return shared.get([] {
    const os::Result<os::Descriptor> file = os::open_userfaultfd();
    if (file && !os::hold_open(file.value)) always_held.store(false, std::memory_order_relaxed);
    return file;
  });
}

/// All of the range but what saved files are mapped to, and what is excluded.
os::Error attach(ArenaBooks& books) {
  if (!may_have_unwatched(books)) return watch(books, {{0}, books.pages});
  const Page end{books.pages};
  for (Page p = next_watched(books, {0}, end); p < end;) {
    const Page to = next_never_watched(books, p, end);
    if (const os::Error error = watch(books, {p, to - p})) return error;
    p = next_watched(books, to, end);
  }
  return {};
}

void leave(ArenaBooks& books) { os::close_file(books.barrier_fd); }

os::Error check(const ArenaBooks& books) {
  if (always_held.load(std::memory_order_relaxed)) return {};  // then whatever needs the descriptor says so
  return os::still_ours(books.barrier_fd) ? os::Error{} : os::Error{EBADF};
}

/// The bits take over from the mapping, but for pages that can be written already: those stay open all the time, since
/// the kernel may be writing there for somebody.
os::Error protect_closed(ArenaBooks& books, Pages run) COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end();) {
    const Page open = std::min(books.writable.next(p), run.end());
    if (p < open) {
      if (const os::Error error = protect_range(books, {p, open - p}, true)) return error;
    }
    p = open < run.end() ? books.writable.next_absent(open, run.end()) : open;
  }
  return {};
}

/// Makes the mappings of a run writable.
os::Error open_mappings(ArenaBooks& books, Pages run) COW_FAULT_LOCKED {
  // What was opened before is in the middle of it only where pages have moved.
  const bool ends_alone = !books.opened.intersects(run);
  const auto edges = [&]() COW_FAULT_LOCKED {
    return ends_alone ? books.edges({run.first, 0}) + books.edges({run.end(), 0}) : books.edges(run);
  };
  const Edges before = edges();
  if (const os::Error error =
          os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read_write)) {
    return error;
  }
  books.opened.insert(run);
  books.count_mappings(before, edges());
  return {};
}

/// The next gap between opened pages at or behind `from`; its count is 0 if there is none.
Pages gap_behind(const ArenaBooks& books, Page from) COW_FAULT_LOCKED {
  const Pages opened = books.opened.next_run(from);
  const Page next = opened.count == 0 ? books.opened.end() : books.opened.next(opened.end());
  return next == books.opened.end() ? Pages{} : Pages{opened.end(), next - opened.end()};
}

/// One of the shorter gaps, in turn: page tables are what it costs to open one.
Pages short_gap(ArenaBooks& books) COW_FAULT_LOCKED {
  Page& next = books.gaps.next;
  std::uint64_t& longest = books.gaps.longest;
  longest = std::max(longest, extent_pages);
  for (;;) {
    const bool from_the_start = next == Page{0};
    bool any = false;
    for (Pages gap = gap_behind(books, next); gap.count != 0; gap = gap_behind(books, next)) {
      next = gap.end();
      if (next_never_watched(books, gap.first, gap.end()) != gap.end()) continue;
      any = true;
      if (gap.count <= longest) return gap;
    }
    next = {0};
    if (from_the_start && !any) return longest = extent_pages, Pages{};
    if (from_the_start) longest *= 2;
  }
}

/// Two opened runs and the gap between them become one mapping.
bool saved_mappings(ArenaBooks& books) COW_FAULT_LOCKED {
  const Pages gap = short_gap(books);
  return gap.count != 0 && !protect_closed(books, gap) && !open_mappings(books, gap);
}

/// Makes the mapping of whole extents writable; the bits take over first, but for pages that are about to be written
/// anyway.
os::Error open_extents(ArenaBooks& books, Pages run) COW_FAULT_LOCKED {
  for (Page p = books.opened.next_absent(run.first, run.end()); p < run.end();
       p = books.opened.next_absent(p, run.end())) {
    const Pages extent = extent_of(books, p);
    if (MappingBudget::is_short()) (void)saved_mappings(books);
    const bool all_wanted = run.first <= extent.first && extent.end() <= run.end();
    if (!all_wanted) {
      if (const os::Error error = protect_closed(books, extent)) return error;
    }
    os::Error error = open_mappings(books, extent);
    while (error.code == ENOMEM && saved_mappings(books)) error = open_mappings(books, extent);
    if (error) return error;
  }
  return {};
}

os::Error unprotect(ArenaBooks& books, Pages run, bool filled) COW_FAULT_LOCKED {
  if (const os::Error error = open_extents(books, run)) return error;
  if (const os::Error error = protect_range(books, run, false)) return error;
  // The kernel clears the bit but leaves the page table entry read-only where the mapping is shared (seen on 6.18): the
  // first store would fault once more, silently. For a block one call is cheaper than that; for one page it is not.
  if (filled && run.count > 1) (void)os::populate_for_writing(books.address_of(run.first), books.bytes(run.count));
  return {};
}

os::Error protect(ArenaBooks& books, Pages run) { return protect_range(books, run, true); }

os::Error protect_written(ArenaBooks& books, const PageSet& staying) COW_FAULT_LOCKED {
  Pages wide{};
  os::Error error;
  for_each_run_less(books.writable, staying, [&](Pages run) {
    const bool near = wide.count != 0 && run.first - wide.end() <= gap_worth_walking &&
                      may_be_protected(books, staying, {wide.end(), run.first - wide.end()});
    if (near) {
      wide.count = run.end() - wide.first;
      return;
    }
    if (wide.count != 0 && !error) error = protect_range(books, wide, true);
    wide = run;
  });
  if (wide.count != 0 && !error) error = protect_range(books, wide, true);
  return error;
}

os::Error show(ArenaBooks& books, Pages run, Frame frame) COW_FAULT_LOCKED {
  if (const os::Error error = map_in_place(books, run, frame, os::Access::read_write)) return error;
  // A mapping made anew is not watched. Other threads may store to it from here on, so that there is no way back to the
  // frames from before; where the kernel refuses now, whoever protects the pages asks again, or fails.
  (void)watch(books, run);
  books.opened.insert(run);
  return {};
}

/// The mapping is read-only until it is watched; where the kernel refuses that it stays so, as one that was never
/// opened.
os::Error show_protected(ArenaBooks& books, Pages run, Frame frame) COW_FAULT_LOCKED {
  if (const os::Error error = map_in_place(books, run, frame, os::Access::read)) return error;
  books.opened.erase(run);
  if (watch(books, run) || protect_range(books, run, true)) return {};
  if (!os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read_write)) {
    books.opened.insert(run);
  }
  return {};
}

}  // namespace

namespace userfaultfd {

Pages extent_round(const ArenaBooks& books, Page p) noexcept { return extent_of(books, p); }

os::Error close_extents(ArenaBooks& books, std::span<const Pages> extents) noexcept {
  const auto close_gap = [&](Page first, Page end) COW_FAULT_LOCKED {
    return first < end ? protect_mappings(books, {first, end - first}, os::Access::read) : os::Error{};
  };
  Page done{0};
  for (const Pages& extent : extents) {
    books.opened.insert(extent);  // before anything can fail half-way
    if (const os::Error error = close_gap(done, extent.first)) return error;
    if (const os::Error error = protect_range(books, extent, true)) return error;
    done = extent.end();
  }
  return close_gap(done, {books.pages});
}

os::Error open_extents_again(ArenaBooks& books) noexcept {
  os::Error error;
  for (const Pages run : books.opened.runs()) {
    if (const os::Error failed = protect_range(books, run, false)) error = failed;
  }
  if (!error) books.opened.clear();
  const os::Error failed = protect_all(books, os::Access::read_write);  // what can be opened is, whatever else failed
  return error ? error : failed;
}

void open_with_content(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const Page end{books.pages};
  const auto next = [&](Page from) COW_FAULT_LOCKED { return next_watched(books, books.own.next(from), end); };
  for (Page p = next({0}); p < end;) {
    Pages run = extent_of(books, p);
    for (p = next(run.end()); p < end; p = next(run.end())) {
      const Pages extent = extent_of(books, p);
      if (extent.first != run.end()) break;
      run.count = extent.end() - run.first;
    }
    if (protect_closed(books, run) || open_mappings(books, run)) return;
  }
}

}  // namespace userfaultfd

const WriteBarrier userfaultfd_barrier{
    Barrier::userfaultfd, true, false, false, nullptr, open, map_read_only, attach, leave, check, nullptr, nullptr,
    unprotect, protect, protect_written, show, show_protected};

}  // namespace cow

// Private mappings, and what is written to them. See barrier/fronts.hpp.
#include "barrier/fronts.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "barrier/barrier.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/pagemap.hpp"

namespace cow::fronts {
namespace {

constexpr std::size_t runs_at_once = 256;

using Scan = os::Result<os::Scanned> (*)(const os::Descriptor&, std::uintptr_t, std::uintptr_t, os::AddressRun*,
                                         std::size_t) noexcept;

std::uintptr_t number(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  return reinterpret_cast<std::uintptr_t>(books.address_of(p));
}

Pages pages_of(const ArenaBooks& books, const os::AddressRun& found) noexcept COW_FAULT_LOCKED {
  const Page first = books.page_of(reinterpret_cast<void*>(found.begin));
  return {first, books.page_of(reinterpret_cast<void*>(found.end)) - first};
}

/// Calls f(pages) for all that a scan finds in a run, until one fails.
template <class F>
os::Error for_each_found(const ArenaBooks& books, Scan scan, Pages run, F&& f) noexcept COW_FAULT_LOCKED {
  os::AddressRun found[runs_at_once];
  for (std::uintptr_t at = number(books, run.first), end = number(books, run.end()); at < end;) {
    const os::Result<os::Scanned> step = scan(books.fronts.pagemap, at, end, found, runs_at_once);
    // EPERM: it is not watched, since the program has closed the descriptor of who watched.
    if (!step) return step.error.code == EPERM ? os::Error{EBADF} : step.error;
    for (std::size_t i = 0; i < step.value.runs; ++i) {
      if (const os::Error error = f(pages_of(books, found[i]))) return error;
    }
    at = step.value.up_to;
  }
  return {};
}

/// Fresh pages of the extents that a run touches, round the run.
Pages fresh_extents_around(const ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  Page first{run.first.value / extent_pages * extent_pages};
  Page end{std::min((run.end().value + extent_pages - 1) / extent_pages * extent_pages, books.pages)};
  for (const PageSet* others : {&books.fronts.taken, &books.excluded}) {
    first = std::max(first, others->end_before(run.first));
    end = std::min(end, others->next(run.first));
  }
  return {first, end - first};
}

/// Where the process has few mappings left: up to the private mappings before it, so that it is none of its own.
Pages joined_to_what_is_before(const ArenaBooks& books, Pages fresh) noexcept COW_FAULT_LOCKED {
  const Page first = std::max(books.fronts.taken.end_before(fresh.first), books.excluded.end_before(fresh.first));
  return {first, fresh.end() - first};
}

/// How many mappings more there are once a run of fresh pages is private. It joins one neighbour at most: the kernel
/// does not merge two that have private pages of their own.
std::int64_t mappings_added(const ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const auto side = [&](bool at_the_edge, Page neighbour) COW_FAULT_LOCKED -> std::int64_t {
    if (at_the_edge) return 0;
    return books.fronts.taken.contains(neighbour) ? -1 : books.is_excluded(neighbour) ? 0 : 1;
  };
  const bool first = run.first.value == 0;
  const std::int64_t both = side(first, first ? run.first : run.first - 1) +
                            side(run.end().value == books.pages, run.end());
  return std::max<std::int64_t>(both, -1);
}

os::Error watch(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  std::byte* const at = books.address_of(run.first);
  if (const os::Error error = os::register_for_write_protection(books.barrier_fd, at, books.bytes(run.count))) {
    return error;
  }
  if (const os::Error error = os::write_protect(books.barrier_fd, at, books.bytes(run.count), true)) return error;
  books.fronts.unwatched.erase(run);
  return {};
}

/// Reads what has an entry but is not in memory: afterwards it is there, as a front or as the file's page.
os::Error bring_back(const ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (!books.family.file.saved().empty()) return touch_what_may_vanish(books, run, os::Access::read);
  std::byte read;
  for (Page p = run.first; p < run.end(); ++p) copy_bytes(&read, books.address_of(p), 1);
  return {};
}

/// Calls f(pages) for the fronts of a run, in order, until one fails. What is not in memory is brought back and asked
/// for once more: a walk is believed up to the first page that is absent, since the kernel may take out, or move, any
/// page at any moment between two. Where it is at that just now, page by page.
template <class F>
os::Error for_each_front(const ArenaBooks& books, Pages run, F&& f) noexcept COW_FAULT_LOCKED {
  constexpr unsigned together = 3, most_in_vain = 1000;
  os::AddressRun found[runs_at_once];
  unsigned in_vain = 0;
  for (std::uintptr_t at = number(books, run.first), end = number(books, run.end()); at < end;) {
    const std::uintptr_t limit = in_vain < together ? end : at + books.bytes(1);
    const os::Result<os::Scanned> step =
        os::scan_private_or_absent(books.fronts.pagemap, at, limit, found, runs_at_once);
    if (!step) return step.error;
    std::uintptr_t first_absent = step.value.up_to;
    for (std::size_t i = 0; i < step.value.runs; ++i) {
      if (!found[i].in_memory) first_absent = std::min(first_absent, found[i].begin);
      const bool sure = first_absent == step.value.up_to;
      if (found[i].in_memory && !sure) continue;
      if (const os::Error error = sure ? f(pages_of(books, found[i])) : bring_back(books, pages_of(books, found[i]))) {
        return error;
      }
    }
    in_vain = first_absent == at ? in_vain + 1 : 0;
    if (in_vain == most_in_vain) return {EAGAIN};
    at = first_absent;
  }
  return {};
}

}  // namespace

os::Error map_private(ArenaBooks& books, const Run& run) noexcept COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  std::byte* const at = books.address_of(run.first);
  const std::size_t bytes = books.bytes(run.count);
  if (const os::Error error = os::map_file_privately_over(at, bytes, file.fd(run.frame), file.offset(run.frame))) {
    return error;
  }
  if (!books.in_core_dumps) os::hide_from_core_dumps(at, bytes);
  const Pages pages{run.first, run.count};
  books.fronts.taken.insert(pages);
  books.fronts.unwatched.insert(pages);
  if (run.frame != books.home->frame_of(run.first)) books.fronts.beneath.insert(pages);
  return {};
}

os::Error take_in(ArenaBooks& books, Pages run, Pages* taken, NewHomeAlias* alias) noexcept COW_FAULT_LOCKED {
  Pages fresh = fresh_extents_around(books, run);
  if (MappingBudget::is_short()) fresh = joined_to_what_is_before(books, fresh);
  const std::int64_t added = mappings_added(books, fresh);
  const Frame home = books.home->frame_of(fresh.first);
  if (alias != nullptr) alias->take_page_tables(fresh);
  if (const os::Error error = map_private(books, {fresh.first, fresh.count, home})) return error;
  if (taken != nullptr) *taken = fresh;
  books.count_mappings(static_cast<std::uint64_t>(added));  // modulo 2^64
  return watch(books, fresh);
}

os::Error watch_all(ArenaBooks& books, BookVector<Pages>* found) noexcept COW_FAULT_LOCKED {
  const PageSet& unwatched = books.fronts.unwatched;
  for (const Pages run : unwatched.runs()) {
    const os::Error error = for_each_front(books, run, [&](Pages written) COW_FAULT_LOCKED {
      books.fronts.uncollected.insert(written);
      books.fronts.present.insert(written);
      return found == nullptr ? os::Error{} : found->push_back(written);
    });
    if (error) return error;
    if (const os::Error failed = watch(books, run)) return failed;
  }
  return {};
}

os::Error find_written(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const PageSet& taken = books.fronts.taken;
  const PageSet& unwatched = books.fronts.unwatched;
  for (Page p = taken.next({0}); p != taken.end(); p = taken.next(p)) {
    const Page end = taken.next_absent(p);
    const Pages run{p, std::min(end, unwatched.next(p)) - p};
    if (run.count != 0) {
      const os::Error error = for_each_found(books, os::scan_and_protect, run, [&](Pages found) COW_FAULT_LOCKED {
        books.fronts.uncollected.insert(found);
        return os::Error{};
      });
      if (error) return error;
    }
    p = run.end() == end ? end : unwatched.next_absent(run.end(), end);
  }
  return {};
}

os::Error list_written(ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  const PageSet& taken = books.fronts.taken;
  const PageSet& unwatched = books.fronts.unwatched;
  const auto add = [&](Pages found) { return runs.push_back(found); };
  for (Page p = taken.next({0}); p != taken.end(); p = taken.next(p)) {
    const Page end = taken.next_absent(p);
    const bool watched = !unwatched.contains(p);
    const Page limit = watched ? std::min(end, unwatched.next(p)) : unwatched.next_absent(p, end);
    const os::Error error = watched ? for_each_found(books, os::scan_written, {p, limit - p}, add)
                                    : for_each_front(books, {p, limit - p}, add);
    if (error) return error;
    p = limit;
  }
  for (const Pages run : books.fronts.uncollected.runs()) {
    if (const os::Error error = runs.push_back(run)) return error;
  }
  BookVector<Pages> fresh;
  os::Error error = list_fresh_with_memory(books, fresh);
  for (const Pages& run : fresh) {
    for (Page p = run.first; p < run.end() && !error; ++p) {
      if (!reads_as_zero(books, p)) error = runs.push_back({p, 1});
    }
  }
  make_disjoint(runs);
  return error;
}

void make_disjoint(BookVector<Pages>& runs) noexcept {
  std::sort(runs.begin(), runs.end(), [](const Pages& a, const Pages& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (const Pages& run : runs) {
    Pages* const last = kept == 0 ? nullptr : &runs.begin()[kept - 1];
    if (last == nullptr || last->end() < run.first) {
      runs.begin()[kept++] = run;
    } else {
      last->count = std::max(last->end(), run.end()) - last->first;
    }
  }
  runs.shrink_to(kept);
}

bool memory_is_told(const ArenaBooks& books) noexcept {
  const Frame home = books.home->frame_of({0});
  const os::Result<std::uint64_t> found =
      os::next_allocated(books.family.file.fd(home), books.family.file.offset(home));
  return found || found.error.code == ENXIO;
}

os::Result<Page> next_fresh_with_memory(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  const PageSet& taken = books.fronts.taken;
  for (p = taken.next_absent(p); p.value < books.pages;) {
    const os::Result<std::uint64_t> found = os::next_allocated(file.fd(home), file.offset(home + p.value));
    if (found.error) return {Page{books.pages}, found.error.code == ENXIO ? os::Error{} : found.error};
    p = Page{(found.value - file.offset(home)) / file.page_bytes()};
    if (p.value >= books.pages) break;
    if (!taken.contains(p) && !books.is_excluded(p)) return {p, {}};
    p = taken.contains(p) ? taken.next_absent(p) : books.excluded.next_absent(p);
  }
  return {Page{books.pages}, {}};
}

os::Result<Pages> next_with_memory(const ArenaBooks& books, Pages run) noexcept {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of(run.first);
  const auto page_at = [&](std::uint64_t offset) {
    return std::min(run.first + (offset - file.offset(home)) / file.page_bytes(), run.end());
  };
  const os::Result<std::uint64_t> begin = os::next_allocated(file.fd(home), file.offset(home));
  if (begin.error.code == ENXIO) return {{run.end(), 0}, {}};
  if (!begin) return {{}, begin.error};
  const Page first = page_at(begin.value);
  if (first == run.end()) return {{first, 0}, {}};
  const os::Result<std::uint64_t> end = os::next_hole(file.fd(home), begin.value);
  if (!end) return {{}, end.error};
  return {{first, page_at(end.value) - first}, {}};
}

namespace {

/// Where home is full from its beginning up to some page, and the file empty from there on, that page: so many pages
/// have memory, and none of them lies further behind. Looking for holes would take 65 ns a page. Else page 0.
Page end_of_filled(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  if (file.offset(home) != 0) return {0};
  const std::uint64_t bytes = os::allocated_bytes(file.fd(home));  // before the look: memory may be added, not taken
  if (os::next_allocated(file.fd(home), bytes).error.code != ENXIO) return {0};
  return {std::min(bytes / file.page_bytes(), books.pages)};
}

}  // namespace

os::Error list_fresh_with_memory(ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  if (books.fronts.taken.empty() && books.excluded.empty()) {
    if (const Page end = end_of_filled(books); end.value != 0) return runs.push_back({{0}, end.value});
  }
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  const PageSet& taken = books.fronts.taken;
  for (Page p{0};;) {
    const os::Result<Page> first = next_fresh_with_memory(books, p);
    if (!first) return first.error;
    if (first.value.value >= books.pages) return {};
    const os::Result<std::uint64_t> hole = os::next_hole(file.fd(home), file.offset(home + first.value.value));
    if (!hole) return hole.error;
    const Page file_end{(hole.value - file.offset(home)) / file.page_bytes()};
    const Page end = std::min({file_end, taken.next(first.value), books.excluded.next(first.value)});
    if (const os::Error error = runs.push_back({first.value, end - first.value})) return error;
    p = end;
  }
}

os::Error list_fronts(const ArenaBooks& books, Pages run, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  return for_each_front(books, run, [&](Pages found) { return runs.push_back(found); });
}

std::uint64_t count_fronts(const ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  std::uint64_t count = 0;
  (void)for_each_found(books, os::scan_private, run, [&](Pages found) { return count += found.count, os::Error{}; });
  return count;
}

/// Copied first: a sanitizer cannot see that nobody is writing just now.
bool reads_as_zero(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  constexpr std::size_t at_once = 512;
  static constexpr std::byte zeros[at_once]{};
  std::byte part[at_once];
  for (std::size_t done = 0; done < books.bytes(1); done += at_once) {
    copy_bytes(part, books.address_of(p) + done, at_once);
    if (std::memcmp(part, zeros, at_once) != 0) return false;
  }
  return true;
}

os::Error drop(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (const os::Error error = os::drop_private(books.address_of(run.first), books.bytes(run.count))) return error;
  books.fronts.present.erase(run);
  books.fronts.warm.erase(run);
  return {};
}

os::Error protect_again(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  return os::write_protect(books.barrier_fd, books.address_of(run.first), books.bytes(run.count), true);
}

}  // namespace cow::fronts

// Layer 4: userfaultfd write-protection and SIGBUS. The protection is a bit of each page, so that no mapping is split
// and the address space is not locked exclusively.
//
// The bits cost page tables, which a vast empty arena must not pay for. So everything begins read-only, as with
// mprotect, and the first touch of an extent opens it: from then on its mapping is writable and each of its pages has
// the bit.
#include <algorithm>
#include <atomic>
#include <cerrno>

#include "barrier.hpp"

namespace cow {
namespace {

constexpr std::uint64_t extent_pages = 512;  // as many as one page table spans

/// A gap of protected pages between two writable runs that is cheaper to walk over (150 ns a page on 6.18, as much as a
/// page that changes) than a system call of its own (1.1 us).
constexpr std::uint64_t gap_worth_walking = 8;

/// Older kernels, such as Debian 12's, want the range to lie in one mapping and say ENOENT where moved pages have split
/// it: then in halves.
os::Error protect_range(ArenaBooks& books, Pages run, bool on) {
  const os::Error error = os::write_protect(books.barrier_fd, books.address_of(run.first), books.bytes(run.count), on);
  if (error.code != ENOENT || run.count == 1) return error;
  const std::uint64_t half = run.count / 2;
  if (const os::Error failed = protect_range(books, {run.first, half}, on)) return failed;
  return protect_range(books, {run.first + half, run.count - half}, on);
}

/// One userfaultfd watches all arenas of the process. Only open() writes it.
struct Watch {
  os::Descriptor file;
  std::uint64_t generation = 0;
};
Watch watch;
std::atomic<bool> always_held{true};  // each one that was opened is held open: none can be lost by closing it

os::Result<os::Descriptor> open() {
  const std::uint64_t generation = os::process_generation();
  if (watch.generation == generation && watch.file.number != -1 && os::still_ours(watch.file)) return {watch.file, {}};
  const os::Result<os::Descriptor> file = os::open_userfaultfd();
  if (!file) return file;
  if (!os::hold_open(file.value)) always_held.store(false, std::memory_order_relaxed);
  watch = {file.value, generation};
  return file;
}

os::Error attach(ArenaBooks& books) {
  return os::register_for_write_protection(books.barrier_fd, books.base, books.bytes(books.pages));
}

void leave(ArenaBooks& books) { os::close_file(books.barrier_fd); }

os::Error check(const ArenaBooks& books) {
  if (always_held.load(std::memory_order_relaxed)) return {};  // then whatever needs the descriptor says so
  return os::still_ours(books.barrier_fd) ? os::Error{} : os::Error{EBADF};
}

/// Makes the mapping of whole extents writable; the bits take over first, but for pages that are about to be written
/// anyway.
os::Error open_extents(ArenaBooks& books, Pages run) {
  for (Page p = books.opened.next_absent(run.first, run.end()); p < run.end();
       p = books.opened.next_absent(p, run.end())) {
    const Page first{p.value / extent_pages * extent_pages};
    const Pages extent{first, std::min(extent_pages, books.pages - first.value)};
    const bool all_wanted = run.first <= extent.first && extent.end() <= run.end();
    if (!all_wanted) {
      if (const os::Error error = protect_range(books, extent, true)) return error;
      // Pages of the extent that were opened before may be writable: only what is in no one's hands may get the bit.
      for (Pages open = books.writable.next_run(extent.first); open.count != 0 && open.first < extent.end();
           open = books.writable.next_run(open.end())) {
        const Page from = std::max(open.first, extent.first), to = std::min(open.end(), extent.end());
        if (const os::Error error = protect_range(books, {from, to - from}, false)) return error;
      }
    }
    if (const os::Error error =
            os::protect(books.address_of(extent.first), books.bytes(extent.count), os::Access::read_write)) {
      return error;
    }
    books.opened.insert(extent);
  }
  return {};
}

os::Error unprotect(ArenaBooks& books, Pages run, bool filled) {
  if (const os::Error error = open_extents(books, run)) return error;
  if (const os::Error error = protect_range(books, run, false)) return error;
  // The kernel clears the bit but leaves the page table entry read-only where the mapping is shared (seen on 6.18): the
  // first store would fault once more, silently. For a block one call is cheaper than that; for one page it is not.
  if (filled && run.count > 1) (void)os::populate_for_writing(books.address_of(run.first), books.bytes(run.count));
  return {};
}

os::Error protect(ArenaBooks& books, Pages run) { return protect_range(books, run, true); }

os::Error protect_written(ArenaBooks& books, const PageSet& staying) {
  Pages wide{};
  os::Error error;
  for_each_run_less(books.writable, staying, [&](Pages run) {
    const bool near = wide.count != 0 && run.first - wide.end() <= gap_worth_walking &&
                      !staying.intersects({wide.end(), run.first - wide.end()});
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

/// The frames from before, read-only. There is nothing to fall back to if that fails too; the mappings they need were
/// there a moment ago.
void show_again(ArenaBooks& books, Pages run) {
  for (Page p = run.first; p < run.end(); ++p) (void)map_in_place(books, {p, 1}, books.frame_of(p), os::Access::read);
  (void)os::register_for_write_protection(books.barrier_fd, books.address_of(run.first), books.bytes(run.count));
  books.opened.erase(run);
}

os::Error show(ArenaBooks& books, Pages run, Frame frame) {
  if (const os::Error error = map_in_place(books, run, frame, os::Access::read_write)) return error;
  // A mapping made anew is not watched; one that nobody watches could be written behind our back after the next
  // snapshot.
  const os::Error error =
      os::register_for_write_protection(books.barrier_fd, books.address_of(run.first), books.bytes(run.count));
  if (error) return show_again(books, run), error;
  books.opened.insert(run);
  return {};
}

}  // namespace

const WriteBarrier userfaultfd_barrier{
    Barrier::userfaultfd, true, false, open, attach, leave, check, unprotect, protect, protect_written, show};

}  // namespace cow

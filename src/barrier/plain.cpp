// An arena that has no version yet, under userfaultfd: plain memory, and closing it for the first time. Not in the
// signal handler.
#include "barrier/barrier.hpp"
#include "barrier/collecting.hpp"
#include "barrier/fronts.hpp"
#include "barrier/userfaultfd_extents.hpp"

namespace cow {
namespace {

/// Whole extents round what has memory, and those beside each other as one.
os::Error list_extents_with_memory(ArenaBooks& books, BookVector<Pages>& extents) COW_FAULT_LOCKED {
  for (Page p{0}; p.value < books.pages;) {
    const os::Result<Page> found = fronts::next_fresh_with_memory(books, p);
    if (!found) return found.error;
    if (found.value.value == books.pages) return {};
    const Pages extent = userfaultfd::extent_round(books, found.value);
    p = extent.end();
    if (!extents.empty() && extents.back().end() == extent.first) {
      extents.back().count += extent.count;
    } else if (const os::Error error = extents.push_back(extent)) {
      return error;
    }
  }
  return {};
}

Edges edges_round(const ArenaBooks& books, const BookVector<Pages>& extents) COW_FAULT_LOCKED {
  Edges edges;
  for (const Pages& extent : extents) edges = edges + books.edges({extent.first, 0}) + books.edges({extent.end(), 0});
  return edges;
}

os::Error close_all(ArenaBooks& books) COW_FAULT_LOCKED {
  BookVector<Pages> extents;
  if (const os::Error error = list_extents_with_memory(books, extents)) return error;
  os::Error error{ENOMEM};
  if (!MappingBudget::is_short(2 * extents.size())) {
    const Edges before = edges_round(books, extents);
    error = userfaultfd::close_extents(books, extents.span());
    if (!error) books.count_mappings(before, edges_round(books, extents));
  }
  if (error.code != ENOMEM) return error;
  // Too many mappings: as one that is read-only. No bit may stay that nobody knows of.
  if (const os::Error failed = userfaultfd::open_extents_again(books)) return failed;
  return protect_all(books, os::Access::read);
}

os::Result<os::Descriptor> open() { return userfaultfd_barrier.open(); }
os::Error attach(ArenaBooks& books) { return userfaultfd_barrier.attach(books); }
void leave(ArenaBooks& books) { userfaultfd_barrier.leave(books); }
os::Error check(const ArenaBooks& books) COW_FAULT_LOCKED { return userfaultfd_barrier.check(books); }

}  // namespace

const WriteBarrier plain_until_userfaultfd{
    Barrier::userfaultfd, true, false, true, &userfaultfd_barrier, open, collecting::map_fresh, attach, leave, check,
    close_all, userfaultfd::open_extents_again, collecting::no_unprotecting, collecting::no_protecting,
    collecting::no_protecting_of_written, collecting::no_showing, collecting::no_showing};

}  // namespace cow

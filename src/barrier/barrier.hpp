// What catches the first write to each page, or finds at a cut what was written, behind one interface. Knows the
// kernel's means, and nothing of why. All of it but open(), map(), attach() and leave() may run in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "cow/arena.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Mappings are begun, and opened, by extents: as many pages as one page table spans.
inline constexpr std::uint64_t extent_pages = 512;

/// One way of catching writes. The books' fault lock is held in all calls but open(), map(), attach() and leave(),
/// whose arena nobody else uses yet or any more; a call that fails may have changed the protection of some of the
/// pages, never their content. Through these pointers clang does not check the lock.
struct WriteBarrier {
  Barrier kind;
  bool needs_sigbus;     // caught writes raise SIGBUS too, besides SIGSEGV
  bool splits_mappings;  // whether writable pages are mappings of their own
  bool collects;         // no write is caught: a cut asks what was written. Nothing from unprotect() on is called then
  /// Of one for arenas that have no version yet, and are plain memory: what catches their writes from the first cut on.
  const WriteBarrier* from_first_cut;

  /// What all arenas of the process share, opened anew where that was lost.
  os::Result<os::Descriptor> (*open)();
  /// Maps the arena's home, and what it borrows, over its range, which nobody uses yet.
  os::Error (*map)(ArenaBooks& books);
  /// The range is mapped; unmapping it ends what this began.
  os::Error (*attach)(ArenaBooks& books);
  /// In the child of a fork(): the parent's arenas are caught by something else.
  void (*leave)(ArenaBooks& books);
  /// EBADF where writes may have gone unseen, since the program has closed the barrier's descriptor.
  os::Error (*check)(const ArenaBooks& books);
  /// Of one that collects: nobody can store any more, since another takes over; and the way back, from half-way too.
  os::Error (*close_all)(ArenaBooks& books);
  os::Error (*open_all)(ArenaBooks& books);
  /// `filled`: the pages have content, so that making their page table entries ready costs no memory. Counts the
  /// mappings that change, where they are not the run's alone.
  os::Error (*unprotect)(ArenaBooks& books, Pages run, bool filled);
  os::Error (*protect)(ArenaBooks& books, Pages run);
  /// Protects the writable pages of the books that are not to stay so, by the cheaper of wide calls and narrow ones.
  os::Error (*protect_written)(ArenaBooks& books, const PageSet& staying);
  /// Shows other frames in place of those that are there, writable at once.
  os::Error (*show)(ArenaBooks& books, Pages run, Frame frame);
  /// The same for pages that are protected, and stay so. A failure leaves the frames from before.
  os::Error (*show_protected)(ArenaBooks& books, Pages run, Frame frame);
};

/// The barrier for what was asked; throws std::system_error where it cannot be had. The kernel is asked until it has
/// said yes or no. `quiet`: cuts of the arena will be.
const WriteBarrier& choose_barrier(Barrier asked, bool quiet);
/// Whether Barrier::kernel can be had here.
bool kernel_barrier_exists() noexcept;
/// The best of those that catch writes by signals.
const WriteBarrier& best_with_signals() noexcept;
/// The barrier of an arena without content until its first cut: under it nothing is protected.
const WriteBarrier& plain_until_first_cut(const WriteBarrier& barrier) noexcept;
inline bool is_plain(const ArenaBooks& books) noexcept { return books.barrier->from_first_cut != nullptr; }

/// The home read-only, and over it what the arena borrows.
os::Error map_read_only(ArenaBooks& books) noexcept;
/// Shows runs read-only over an address range.
os::Error map_runs(const FrameFile& file, std::byte* base, const RunList& runs) noexcept;

/// Shows other frames in place of those that are there, with what the user asked of the mapping.
os::Error map_in_place(ArenaBooks& books, Pages run, Frame frame, os::Access access) noexcept;

/// Whether a call that protects pages on both sides of a gap may go over it.
inline bool may_be_protected(const ArenaBooks& books, const PageSet& staying, Pages gap) noexcept {
  return !staying.intersects(gap) &&
         !(books.any_excluded.load(std::memory_order_relaxed) && books.excluded.intersects(gap));
}

/// Mappings of a run, or of the whole arena, but for what is excluded: that can be written all the time.
os::Error protect_mappings(ArenaBooks& books, Pages run, os::Access access) noexcept;
inline os::Error protect_all(ArenaBooks& books, os::Access access) noexcept {
  return protect_mappings(books, {{0}, books.pages}, access);
}

extern const WriteBarrier mprotect_barrier;
extern const WriteBarrier userfaultfd_barrier;
extern const WriteBarrier kernel_barrier;
extern const WriteBarrier plain_until_mprotect;
extern const WriteBarrier plain_until_userfaultfd;

}  // namespace cow

// Recurring pages, written in most intervals: a snapshot copies them ahead, in bulk, and leaves them
// writable: no protecting, no fault, no split mapping. Runs in operations only.
//
// A page may be copied only while nobody writes it, and these are not protected: so this is done only where no other
// thread can be writing, since the process has none or the program has promised it (ArenaOptions::quiet_cuts).
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Whether the calling thread is the only one that can be writing the arena.
bool nobody_else_writes(const ArenaBooks& books) noexcept;
bool process_has_one_thread() noexcept;

/// Whether a page that stayed writable still has the content that the newest version keeps of it.
bool same_as_kept(const ArenaBooks& books, Page p, Frame kept) noexcept;
/// Whether all of them have. The newest version is the one whose snapshot left them writable.
bool staying_pages_unchanged(const ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// The steps of one snapshot, in the order of its members.
class CopyAhead {
 public:
  CopyAhead(ArenaBooks& books, bool quiet) noexcept COW_FAULT_LOCKED;
  /// Gives back the frames that copy() has not used.
  ~CopyAhead() COW_FAULT_LOCKED;
  CopyAhead(const CopyAhead&) = delete;
  CopyAhead& operator=(const CopyAhead&) = delete;

  /// Frames and log for the copies: taken now, since clones of the arena take frames from the same history. Failing
  /// changes nothing.
  os::Error make_room() noexcept COW_FAULT_LOCKED;
  /// The pages that stay writable.
  const PageSet& pages() const noexcept { return books_.staying; }
  /// All other pages are protected now.
  void protected_others() noexcept COW_FAULT_LOCKED;
  /// The new version is the newest: it gets its copies.
  void copy() noexcept COW_FAULT_LOCKED;

 private:
  void choose() noexcept COW_FAULT_LOCKED;
  void leave_those_that_stopped_changing() noexcept COW_FAULT_LOCKED;

  ArenaBooks& books_;
  const bool watch_begins_;
};

}  // namespace cow

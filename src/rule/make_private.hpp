// The steps of the rule: making pages an arena's own, in place or by moving. Runs in the signal handler, by
// the rules that rule/copy_on_write.hpp opens with.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "rule/claim.hpp"
#include "words/units.hpp"

namespace cow {

/// For a run of one claim that needs something: it is the arena's own afterwards, in place or by moving, and writable.
os::Error make_private(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED;

/// For a run of one claim that leaves pages where they are (first touch, sole owner, history): afterwards each page has
/// the current epoch for its birth, and is still read-only.
os::Error make_private_in_place(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED;

/// Opens those of the pages that count as writable, where a failure left some of them protected.
os::Error open_again(ArenaBooks& books, Pages pages) noexcept COW_FAULT_LOCKED;

/// A page without memory gets it from the kernel when it is touched, or the process a signal. Asked for like this it is
/// an error. Costs nothing where a run is known to have its memory.
os::Error give_memory(ArenaBooks& books, Pages pages) noexcept COW_FAULT_LOCKED;
os::Error give_memory(const FrameFile& file, Frame first, std::uint64_t count) noexcept;

/// Takes the content of writable pages away: they read as zero, cost nothing, and wait for a first touch. Where the
/// kernel refuses they are written with zeros instead.
void make_private_blank(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// Frames read as zero from here on. False where they keep their memory: then they are written with zeros.
bool take_content_away(FrameFile& file, Frame first, std::uint64_t count) noexcept;

// -- What rule/consolidate.cpp shares -----------------------------------------------------------------------------

/// Copies the pages' content into frames of a plane that are free for it. A failure leaves the frames free.
os::Error fill_frames(ArenaBooks& books, Plane& plane, Pages run) noexcept COW_SIGNALS_BLOCKED;
void free_frames(ArenaBooks& books, Plane& plane, Pages run) noexcept COW_SIGNALS_BLOCKED;
/// Enters that the run is shown by a plane now, and hands the frames shown before to whoever needs them.
/// After UndoLog::make_room().
void enter_moved(ArenaBooks& books, Plane& plane, Pages run) noexcept COW_FAULT_LOCKED;
/// A plane on which all frames of the run are free: home where possible, else where its neighbours are, else any, else
/// new.
os::Result<Plane*> plane_with_room(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

}  // namespace cow

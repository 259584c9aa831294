// The rule under the kernel barrier, where no write is caught: at a cut, what was written since the last one is found,
// and each page gets then what a fault would have given it: its old content is kept, and what its front holds goes to a
// frame. Between cuts the books and the frames tell the content as of the last cut. Not in the signal handler.
//
// While a cut is collected nobody may be writing the arena. The fault lock is held.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Afterwards the frames hold the content of the arena, each page written since the last cut has the current epoch for
/// its birth, and ArenaBooks::written says whether there was any. After a failure some pages may have been collected;
/// the others are known to be written.
os::Error collect(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// The same before another barrier takes over, where the whole mapping was made read-only since others may be writing:
/// nothing is mapped anew, which would let them through.
os::Error collect_for_the_last_time(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// The first cut of a plain arena, where nobody can store: what has memory is its own. Also what reads as zero: it was
/// only read, or the kernel is about to store there for somebody (a transfer that is under way).
os::Error enter_plain(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Fresh pages are the arena's own from here on, whatever they are going to hold. `with_memory`: and have memory.
os::Error enter_ahead(ArenaBooks& books, Pages run, bool with_memory) noexcept COW_FAULT_LOCKED;

/// Whether a page that was just collected has been written again already: then somebody does not keep the promise.
bool written_during_the_cut(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Fronts that were not written for some cuts go, and their memory comes back.
void drop_cold_fronts(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// The pages of a run count as written at the next cut, whether or not a store is seen there. Once the arena has had a
/// cut, or is a clone, they are in private mappings then: what a device pins goes on being the arena's memory.
os::Error count_as_written(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// Keeps what versions need of a run that is about to be discarded; its content stays.
os::Error prepare_to_discard(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;
/// Then: all of it reads as zero, and what nobody else needs loses its memory.
void discard_uncollected(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

}  // namespace cow

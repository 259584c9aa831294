// What writes cost under each barrier, as far as an arena can tell from what was written: the grounds on which
// Barrier::automatic chooses. Changes nothing. The fault lock is held.
#pragma once

#include "books/arena_books.hpp"

namespace cow {

/// At a cut: adds up what the other kind of barrier would have saved since the last one; says whether that is enough,
/// cut after cut, to change: half of what a change costs where the kinds differ threefold, all of it where they differ
/// by half, else twice as much. Where they differ threefold a sixteenth is enough the first time, if every cut spoke
/// for it.
bool other_was_better(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Under the kernel barrier, after a rollback that undid what was written, no cut between: pages that signals would
/// have left writable cost them nothing.
bool signals_were_better(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Of the barriers with signals, which would have cost less in that time. Not mprotect where there are other threads.
bool mprotect_was_better(const ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// A change back soon after the last one takes more grounds than that did.
void note_barrier_change(ArenaBooks& books, const char* why) noexcept COW_FAULT_LOCKED;

}  // namespace cow

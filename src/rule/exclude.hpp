// Pages are excluded: private memory of the process takes the place of their frames in the arena's mapping, and by the
// books they were discarded and are never written again. So no version from here on has anything there, and nothing
// protects, moves or copies them. Not in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// The pages of a run, none of which is excluded yet, keep their content, also what others store to them meanwhile. All
/// of them or, with an error, none.
os::Error exclude(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// Those of a run that are excluded read as zero.
void make_excluded_blank(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// In the books of a clone that nobody has yet: what is excluded in the version that it is made of. The operation mutex
/// of the version's arena is held.
void exclude_as_in(const Version& version, ArenaBooks& clone) noexcept;
/// When the clone's range is mapped: zero memory for it.
os::Error map_excluded(ArenaBooks& clone) noexcept COW_FAULT_LOCKED;

}  // namespace cow

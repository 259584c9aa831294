// Fresh pages that are prepared under the kernel barrier: private before a device is given them. Else it would have a
// frame's memory, which is the arena's no more once a store has put a front before it. Not in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Where there have been versions, or the arena is a clone: the fresh pages of a run, and the rest of their extents,
/// are in private mappings then. Others may be writing. After a failure nothing that was stored is forgotten.
os::Error take_in_ahead(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// At the first cut, once what has memory is the arena's own: what was prepared before, whatever it holds.
os::Error take_in_prepared(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

}  // namespace cow

// Pages that can be written are protected before their time, where the process has few mappings left and they
// are too far apart for saving mappings by copies. Runs in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "words/units.hpp"

namespace cow {

/// Where the process has few mappings left and writable pages split them: protects some runs of writable pages, in
/// turn, which costs a fault each if they are written again. Not those that stay (ArenaBooks::prepared), nor those at
/// and beside the pages that are `wanted` now. The fault lock is held.
void close_some_if_few_are_left(ArenaBooks& books, Pages wanted) noexcept COW_FAULT_LOCKED;

/// Protects writable pages that need no longer be so; false where they stay open, because somebody counts on that, the
/// process has few mappings left, or the kernel refuses. The fault lock is held.
bool close_again(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// The writable pages of a run are not closed before the next snapshot. The fault lock is held.
void keep_open(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

}  // namespace cow

// Pages that had to leave home, since clones or views showed their frames there, go home at a cut once nobody does:
// versions then have few runs, and clones and views of them few mappings. Not in the signal handler.
//
// The fault lock is held, and the pages that move are protected.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/book_memory.hpp"
#include "words/units.hpp"

namespace cow {

/// Finds, before a cut, which pages may go home at it: not those that somebody counts on, and not more than twice as
/// many as were written since the last one, so that no cut costs much more than what was written before it.
void list_homecomers(ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED;

/// Moves them, after the cut, but for pages that stayed writable. What the kernel refuses stays where it is.
void go_home(ArenaBooks& books, const BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED;

}  // namespace cow

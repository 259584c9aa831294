// Pages that had to leave home, since clones or views showed their frames there, go home at a cut once nobody does:
// versions then have few runs, and clones and views of them few mappings. Not in the signal handler.
//
// The fault lock is held, and the pages that move are protected.
#pragma once

#include "books/arena_books.hpp"

namespace cow {

/// The last of a cut: moves pages home, but not those that stayed writable nor those that somebody counted on, and not
/// more than twice as many as were written since the last one, so that no cut costs much more than what was written
/// before it. What the kernel refuses stays where it is.
void go_home(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

}  // namespace cow

// Saving mappings: whole windows of pages become one writable mapping, at the cost of copying the pages in
// between. A write must never fail because the process has too many mappings. Runs in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// The smallest aligned window around p that holds enough mappings for consolidating it to free some, without moving
/// what somebody counts on (ArenaBooks::prepared); count 0 if none.
Pages crowded_window(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED;

/// Makes all pages of a window writable, as one mapping: on one plane, in place where they are on it, by moving
/// where they are not. After a failure each page is as it was; where what was writable could not be
/// opened again, the books say that they are half protected.
os::Error consolidate(ArenaBooks& books, Pages window) noexcept COW_FAULT_LOCKED;

/// Where pages that have moved leave more than `most` mappings, consolidates the windows they are in, so that the next
/// version and all clones and views of it are cheap to map: one copy for all of them. Does what it can. Not in the
/// handler.
void defragment(ArenaBooks& books, std::uint64_t most) noexcept COW_FAULT_LOCKED;

/// The kernel had no mapping left for a small change: tries larger and larger windows, up to the whole arena, which
/// needs none. `error` is why the small change failed.
os::Error consolidate_until_it_fits(ArenaBooks& books, Page p, os::Error error) noexcept COW_FAULT_LOCKED;

}  // namespace cow

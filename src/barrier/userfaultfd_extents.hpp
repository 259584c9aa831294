// The extents of an arena that is new to userfaultfd. The fault lock is held.
#pragma once

#include <span>

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow::userfaultfd {

/// The extent that page p, which is watched, lies in.
Pages extent_round(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED;

/// The bits protect the extents, sorted, whose mappings stay writable; what lies between them is protected by its
/// mapping. What gets memory there before that is written, and in nobody's way.
os::Error close_extents(ArenaBooks& books, std::span<const Pages> extents) noexcept COW_FAULT_LOCKED;

/// The way back, from half-way too: all can be written. Runs in the signal handler.
os::Error open_extents_again(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Where the barrier takes over: the extents that have content are watched by their bits from here on, as if each had
/// been written: 3 ms a GiB, where one by one they take twice that, when the first write comes. What the kernel refuses
/// is left for then.
void open_with_content(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

}  // namespace cow::userfaultfd

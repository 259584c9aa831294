// The extents of a plain arena under userfaultfd, closed for the first time. The fault lock is held.
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

}  // namespace cow::userfaultfd

// The cut: what was written becomes a version. No other file takes one.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// Whether pages that are written again and again may stay open while a version is taken, where nobody else writes.
enum class PagesLeftOpen { recurring, none };

/// Protects what can be written and begins a new epoch; or counts one handle more on the newest version, if nothing was
/// written since.
Version* take_version(ArenaBooks& books, PagesLeftOpen left = PagesLeftOpen::recurring) COW_IN_OPERATION;
os::Result<Version*> take_version_or_error(ArenaBooks& books,
                                           PagesLeftOpen left = PagesLeftOpen::recurring) noexcept COW_IN_OPERATION;

/// The same for who holds the fault lock. `quiet`: no other thread can be writing.
os::Result<Version*> take_version_locked(ArenaBooks& books, bool quiet) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

}  // namespace cow

// The cut: what was written becomes a version. No other file takes one.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

namespace detail {
struct WriteRefusal;
}

/// Protects what can be written and begins a new epoch; or counts one handle more on the newest version, if nothing was
/// written since. A `refusal` is in force from the cut on, before which no store is refused: where there is none, none
/// was. With it no page stays open that is written again and again.
Version* take_version(ArenaBooks& books, detail::WriteRefusal* refusal = nullptr) COW_IN_OPERATION;
os::Result<Version*> take_version_or_error(ArenaBooks& books,
                                           detail::WriteRefusal* refusal = nullptr) noexcept COW_IN_OPERATION;

/// The same for who holds the fault lock. `quiet`: no other thread can be writing; if not, `why` signals are needed.
os::Result<Version*> take_version_locked(ArenaBooks& books, bool quiet,
                                         const char* why) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

}  // namespace cow

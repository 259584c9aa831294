// Which pages an arena may show differently from one of its versions: what Arena::changed_since() tells.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// Runs of the pages that may differ from a version of the arena itself.
os::Error list_changed(Version& version, BookVector<Pages>& changed);
/// The same from the version that it is a clone of.
os::Error list_changed_since_base(ArenaBooks& books, BookVector<Pages>& changed);

/// Runs of the pages that show frames of the arena's own.
os::Error list_own_pages(const ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED;

}  // namespace cow

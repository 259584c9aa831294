// Content becomes a version's again, and which pages that concerns.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// To a version of the arena itself. Gives the pages concerned, also where it fails, which is before any content has
/// changed. Allocates nothing: the heap in the arena may be what serves operator new, and is locked meanwhile.
os::Result<std::uint64_t> roll_back(ArenaBooks& books, Version& version) noexcept;

/// The same to the version that the arena is a clone of.
os::Result<std::uint64_t> roll_back_to_base(ArenaBooks& books, Version& base) noexcept;

/// To a version of the arena itself or the one that it is a clone of; throws what Arena::rollback() throws, but not that
/// a transaction is open.
void roll_back_or_throw(ArenaBooks& books, Version& version);

/// Runs of the pages that may differ from a version of the arena itself.
os::Error list_changed(Version& version, BookVector<Pages>& changed);
os::Error list_changed_since_base(ArenaBooks& books, BookVector<Pages>& changed);

}  // namespace cow

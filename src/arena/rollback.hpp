// Content becomes a version's again.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// To a version of the arena itself. Gives the pages concerned, also where it fails, which is before any content has
/// changed. Allocates nothing: the heap in the arena may be what serves operator new, and is locked meanwhile.
os::Result<std::uint64_t> roll_back(ArenaBooks& books, Version& version) noexcept;

/// The same to the version that the arena is a clone of.
os::Result<std::uint64_t> roll_back_to_base(ArenaBooks& books, Version& base) noexcept;

/// Whether a version is the one that the arena is a clone of.
bool is_base_of(const Version& version, const ArenaBooks& books) noexcept;

/// To a version of the arena itself or the one that it is a clone of; throws what Arena::rollback() throws, but not
/// that a transaction is open.
void roll_back_or_throw(ArenaBooks& books, Version& version);

}  // namespace cow

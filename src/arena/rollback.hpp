// Content becomes a version's again.
#pragma once

#include <cstdint>
#include <optional>

#include "arena/exclude.hpp"
#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// What the arena excluded when it was looked for the blocks of that, if it was, and whether it still did.
struct ExcludedThen {
  std::optional<std::uint64_t> pages;
  bool still = true;

  /// The operation mutex is held.
  bool look_again(const ArenaBooks& books) noexcept {
    return still = !pages || excludes_as_many(books, *pages);
  }
};

/// To a version of the arena itself. Gives the pages concerned, also where it fails, which is before any content has
/// changed. Allocates nothing: the heap in the arena may be what serves operator new, and is locked meanwhile. Where
/// other pages are excluded than `asked` says it does nothing.
os::Result<std::uint64_t> roll_back(ArenaBooks& books, Version& version, ExcludedThen& asked) noexcept;

/// The same to the version that the arena is a clone of.
os::Result<std::uint64_t> roll_back_to_base(ArenaBooks& books, Version& base, ExcludedThen& asked) noexcept;

/// Whether a version is the one that the arena is a clone of.
bool is_base_of(const Version& version, const ArenaBooks& books) noexcept;

/// To a version of the arena itself or the one that it is a clone of; throws what Arena::rollback() throws, but not
/// that a transaction is open. `excluded`: how many pages the arena excluded before it was looked whether the version
/// has their blocks, if it was. False: other pages are excluded by now, and nothing has changed.
bool roll_back_or_throw(ArenaBooks& books, Version& version, std::optional<std::uint64_t> excluded);

}  // namespace cow

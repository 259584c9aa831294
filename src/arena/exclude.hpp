// Pages that snapshots and rollbacks leave alone.
#pragma once

#include <cstddef>

#include "books/arena_books.hpp"
#include "cow/snapshot.hpp"
#include "words/units.hpp"

namespace cow {

/// Why pages must not be excluded, or null. Asked while nothing in the arena is half done.
using WhyNot = const char* (*)(const ArenaBooks& books, Pages run) noexcept;

/// Whether the heap of a version has blocks in use round all pages that the arena excludes and the version does not.
using BlocksThere = bool (*)(const ArenaBooks& books, const Snapshot& version);

/// How many pages an arena excludes. Who takes over a version's content asks before all else, and once more, by
/// excludes_as_many(), under the lock under which it writes: where another thread has excluded others meanwhile their
/// frames may have been given up, and nobody has looked for their blocks. Then it begins again.
std::uint64_t count_excluded(const ArenaBooks& books) noexcept;
/// The operation mutex or the fault lock is held: nobody excludes pages without both.
bool excludes_as_many(const ArenaBooks& books, std::uint64_t pages) noexcept;

/// Whether the heap of a version, if the arena has one, has what it excludes in blocks in use.
bool has_excluded_blocks(const ArenaBooks& books, const Snapshot& version);
/// Before an arena takes over a version's content: throws std::logic_error where a heap in that would give pages out
/// that the arena excludes.
void require_excluded_blocks(const ArenaBooks& books, const Snapshot& version, const char* operation);

/// Throws std::invalid_argument where the range is no whole pages of the arena, std::logic_error with what `why_not`
/// says, std::system_error where the kernel refuses.
void exclude_range(ArenaBooks& books, void* p, std::size_t n, WhyNot why_not, BlocksThere blocks_there);

}  // namespace cow

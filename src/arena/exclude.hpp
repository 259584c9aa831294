// Pages that snapshots and rollbacks leave alone.
#pragma once

#include <cstddef>

#include "books/arena_books.hpp"
#include "words/units.hpp"

namespace cow {

/// Why pages must not be excluded, or null. Asked while nothing in the arena is half done.
using WhyNot = const char* (*)(const ArenaBooks& books, Pages run) noexcept;

/// Throws std::invalid_argument where the range is no whole pages of the arena, std::logic_error with what `why_not`
/// says, std::system_error where the kernel refuses.
void exclude_range(ArenaBooks& books, void* p, std::size_t n, WhyNot why_not);

}  // namespace cow

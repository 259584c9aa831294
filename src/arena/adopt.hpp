// An arena takes over the content of any version of its family.
#pragma once

#include <cstdint>

#include "books/arena_books.hpp"

namespace cow {

/// Throws std::system_error where the kernel refuses, with the content as it was. The version is of the same family.
/// `excluded`: how many pages the arena excluded before it was looked whether the version has their blocks. False:
/// other pages are excluded by now, and nothing has changed.
[[nodiscard]] bool adopt_version(ArenaBooks& books, Version& version, std::uint64_t excluded);

}  // namespace cow

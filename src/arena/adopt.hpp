// An arena takes over the content of any version of its family.
#pragma once

#include "books/arena_books.hpp"

namespace cow {

/// Throws std::system_error where the kernel refuses, with the content as it was. The version is of the same family.
void adopt_version(ArenaBooks& books, Version& version);

}  // namespace cow

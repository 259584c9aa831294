// Layer 7: content becomes a version's again, and which pages that concerns.
#pragma once

#include "arena_books.hpp"
#include "os.hpp"

namespace cow {

/// To a version of the arena itself. Throws before any content has changed.
void roll_back(ArenaBooks& books, Version& version);

/// To the version that the arena is a clone of.
void roll_back_to_base(ArenaBooks& books, Version& base);

/// Runs of the pages that may differ from a version of the arena itself.
os::Error list_changed(Version& version, BookVector<Pages>& changed);
os::Error list_changed_since_base(ArenaBooks& books, BookVector<Pages>& changed);

}  // namespace cow

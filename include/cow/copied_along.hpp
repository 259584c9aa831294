// How much of what was copied had to be.
#pragma once

#include <cstdint>

#include "cow/export.hpp"

namespace cow {

class Arena;

/// The copies made since an arena's newest snapshot. A fault copies neighbours along with the page that is written;
/// where the program then wrote them the copy saved a fault, and where it did not the copy was for nothing.
struct CopiesSinceSnapshot {
  std::uint64_t pages = 0;
  /// Of those, pages that still are what the snapshot shows: copied for nothing, until now.
  std::uint64_t unchanged = 0;
};

/// Compares each copied page with its before-image: about a microsecond a page. All zero without a snapshot. Beside
/// running writers a page may be counted as unchanged that is just being written. Throws std::logic_error for a
/// moved-from arena.
COW_API CopiesSinceSnapshot copies_since_snapshot(const Arena& arena);

}  // namespace cow

// What two versions of one family differ in: by pages, from the books, and by bytes, from their content.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "cow/export.hpp"
#include "cow/snapshot.hpp"
#include "cow/units.hpp"

namespace cow {

/// The pages that may differ between two versions of one family (an arena, its clones, their clones), in any order:
/// sorted, disjoint, a superset of those that do. Cost: what was written between the two, of one arena, of an arena and
/// a clone of it, or of two clones of one version; for farther relatives the runs of neighbouring frames that either
/// shows. Nothing is read of the content, and writers go on meanwhile. Any threads. Throws std::invalid_argument for
/// versions of different families, std::logic_error for an empty snapshot, std::system_error where the kernel refuses
/// memory.
COW_API std::vector<PageRange> changed_between(const Snapshot& a, const Snapshot& b);

/// A run of neighbouring granules that differ, each of them. The spans last for the call that they are handed to.
struct Difference {
  std::size_t offset;  ///< in bytes, from the arena's start
  std::span<const std::byte> before, after;  ///< what `a` and `b` have there
};

/// Calls `call` for what does differ, ascending, in runs that are as long as can be. A granule is `granule` bytes,
/// counted from the arena's start, and is told as a whole: a power of two up to the page size, else, and for an empty
/// `call`, std::invalid_argument. No lock is held while it calls back: writers go on, and the call may use the arenas.
/// What it throws comes out of here. Cost: changed_between(), a microsecond a page that may differ, and the comparison.
/// Memory: twice the longest run of such pages, up to 32 MiB; where one is longer, both versions are mapped instead, as
/// by Snapshot::view().
COW_API void for_each_difference(const Snapshot& a, const Snapshot& b,
                                 const std::function<void(const Difference&)>& call, std::size_t granule = 1);

}  // namespace cow

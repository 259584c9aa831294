// What two sides changed since a common base is put together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cow/arena.hpp"
#include "cow/export.hpp"
#include "cow/snapshot.hpp"

namespace cow {

/// What becomes of a granule that both sides changed, to different values.
enum class OnConflict {
  refuse,       ///< nothing is changed at all, and the report lists the conflicts
  keep_ours,    ///< the arena's stays
  take_theirs,  ///< theirs is taken
};

/// How the bytes of a region are merged. Numbers are in the machine's byte order. Of a number, or a granule, that only
/// one side has changed that side's value is taken; a rule for numbers says what becomes of one that both have changed,
/// to equal values too. A version that is merged twice adds its sums twice: merge a clone once, and go on with a new
/// one.
enum class MergeRule {
  by_granule,   ///< as outside of regions
  sum_i32,      ///< ours + theirs - base, of std::int32_t, modulo 2^32
  sum_i64,      ///< the same of std::int64_t
  sum_f64,      ///< the same of double
  min_i64,      ///< the smaller of ours and theirs
  max_i64,      ///< the larger
  keep_ours,    ///< the whole region stays as it is, whoever changed it
  take_theirs,  ///< the whole region becomes as in theirs, whoever changed it
};

/// Bytes of the arena that have a rule of their own, and so never conflict. Regions of numbers begin at a multiple of
/// the number's size, and are as long as a number of them. Where regions overlap the later one in the list wins.
struct MergeRegion {
  std::size_t offset, bytes;
  MergeRule rule;
};

struct MergeOptions {
  /// Bytes that are taken as one, counted from the arena's start: 1, 2, 4, 8, 16, 32 or 64. Large enough for the
  /// program's smallest unit that must not be mixed of two sides: 8 keeps pointers and numbers whole.
  std::size_t granule = 8;
  OnConflict on_conflict = OnConflict::refuse;
  std::vector<MergeRegion> regions = {};
};

struct ByteRange {
  std::size_t offset, bytes;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct MergeReport {
  std::uint64_t pages_taken = 0;    ///< pages that only theirs had changed: whole
  std::uint64_t pages_merged = 0;   ///< pages that both had changed: by granules
  std::uint64_t bytes_changed = 0;  ///< bytes of the arena that have another value now
  std::vector<ByteRange> conflicts; ///< ascending; neighbouring granules are one entry; resolved ones too
};

/// Merges into `into` what `theirs` has changed since `base`, a version that both come from: one of `into` itself or of
/// an arena that it was cloned from, however many clones ago, and the same for `theirs`. By granules: where theirs
/// equals base, ours stays; where ours equals base, theirs is taken; where both equal each other they stay; else it is
/// a conflict. With OnConflict::refuse and any conflict outside of regions nothing changes, the report lists all of
/// them, and its numbers are 0.
///
/// All or nothing: a merge that throws has changed nothing, and any snapshot has the whole of it or none. All snapshots
/// stay valid, and rolling back to one from before works. Pages that `into` excludes, and pages that the arena of
/// `theirs` had excluded by then, stay what they are, also in regions. Other threads must not write `into` meanwhile;
/// the arenas of `base` and `theirs` may be written.
///
/// Heaps: what one side allocated comes along with its books. Two sides that both changed one heap's books, as each
/// allocation and each free does, cannot be merged: std::logic_error, unless regions cover what differs. So let the
/// sides work on blocks that were there before, or only one of them allocate. The books of a side that has freed a
/// block, or never had it, in which `into` excludes pages are not taken: std::logic_error too. Raw pointers into the
/// clone lead there still; cow::offset_ptr and offsets hold.
///
/// Throws std::invalid_argument, with nothing changed, for a base that is no common ancestor, for a granule or a region
/// that cannot be, for an unknown rule. Cost: changed_between() of both sides, a snapshot of `into`; a copy for a page
/// that theirs changed alone, a comparison of three pages and a copy for one that both changed. Memory: the pages that
/// both changed.
COW_API MergeReport merge(Arena& into, const Snapshot& base, const Snapshot& theirs, const MergeOptions& options = {});

}  // namespace cow

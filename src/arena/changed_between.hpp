// Which pages two versions of a family may show differently, from what was logged and from which frames they show.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Sorted, disjoint runs: a superset of the pages that differ. Of one arena, or of an arena and a clone of it, or of
/// two clones of one version: costs what was written between. Else what the two lists of runs hold. Both have handles;
/// no lock is held. Allocates by the books only.
os::Error list_changed_between(Version& a, Version& b, BookVector<Pages>& changed) noexcept;

/// How an arena was asked what it holds now.
struct AskedNow {
  bool by_cut = false;            // it was cut, as it always is where the logs do not tell
  std::uint64_t collections = 0;  // else: how often what was written had been collected by then, or fronts had come

  /// Whether its frames still hold what no log tells of its versions.
  bool still(const ArenaBooks& books) const noexcept COW_FAULT_LOCKED {
    return by_cut || books.fronts.collections == collections;
  }
};

/// The same between a version and what an arena holds now, which nobody writes meanwhile. Of a version of its own, or
/// of a clone of it, the logs tell without a cut; under the kernel barrier the kernel does too. `asked.by_cut`: by a
/// cut all the same.
os::Error list_changed_until_now(ArenaBooks& books, Version& version, BookVector<Pages>& changed,
                                 AskedNow& asked) noexcept;

}  // namespace cow

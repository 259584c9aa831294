// Which pages two versions of a family may show differently, from what was logged and from which frames they show.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Sorted, disjoint runs: a superset of the pages that differ. Of one arena, or of an arena and a clone of it, or of
/// two clones of one version: costs what was written between. Else what the two lists of runs hold. Both have handles; no
/// lock is held. Allocates by the books only.
os::Error list_changed_between(Version& a, Version& b, BookVector<Pages>& changed) noexcept;

}  // namespace cow

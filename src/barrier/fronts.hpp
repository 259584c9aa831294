// The kernel's means of the kernel barrier: private mappings, and asking which of their pages were written. The fault
// lock is held in every call. Knows nothing of why. Not in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {
class NewHomeAlias;
}

namespace cow::fronts {

/// Maps frames privately over the arena's pages; nobody watches them yet. Counts no mappings.
os::Error map_private(ArenaBooks& books, const Run& run) noexcept COW_FAULT_LOCKED;

/// Fresh pages get private mappings of their home, whole extents round the run, and are watched; their content stays.
/// A failure leaves the pages as they are, or as unwatched ones. `taken`: where not null, the pages that are private
/// then, also after a failure; left as it is where there are none. `alias`: where not null, it has the page tables.
os::Error take_in(ArenaBooks& books, Pages run, Pages* taken = nullptr, NewHomeAlias* alias = nullptr) noexcept
    COW_FAULT_LOCKED;

/// Watches what is not yet; what was written there before counts as written since the last cut. `found`: where not
/// null, those pages, which have fronts for certain, in ascending runs.
os::Error watch_all(ArenaBooks& books, BookVector<Pages>* found = nullptr) noexcept COW_FAULT_LOCKED;

/// Notes in Fronts::uncollected which of the pages taken were written since the last cut, and protects them again.
os::Error find_written(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Adds the runs that were written since the last cut, and changes nothing. All in the list are sorted and disjoint
/// then.
os::Error list_written(ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED;
void make_disjoint(BookVector<Pages>& runs) noexcept;

/// Whether the kernel tells what has memory in the arena's file; some sandboxes' kernels do not.
bool memory_is_told(const ArenaBooks& books) noexcept;
/// From page p on, the first fresh page that has memory in the file; else the arena's end.
os::Result<Page> next_fresh_with_memory(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED;

/// In a run of pages whose frames are at home, the first run of those that have memory in the file; else none, at the
/// run's end.
os::Result<Pages> next_with_memory(const ArenaBooks& books, Pages run) noexcept;

/// The runs of fresh pages that have memory in the file: they were stored to, or only read.
os::Error list_fresh_with_memory(ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED;

/// Which pages of a run have a front; those that were swapped out are read back.
os::Error list_fronts(const ArenaBooks& books, Pages run, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED;

/// How many pages of a run have a front in memory.
std::uint64_t count_fronts(const ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

bool reads_as_zero(const ArenaBooks& books, Page p) noexcept;

/// What the fronts of a run hold is in the frames beneath them: they go, and their memory with them.
os::Error drop(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

/// Protects pages again whose frames were punched, so that they do not count as written.
os::Error protect_again(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

}  // namespace cow::fronts

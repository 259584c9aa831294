// What an arena under the kernel barrier knows of its mappings. The arena is a private mapping of its frames: the
// kernel puts a *front* before a frame when the page is written, and the frame keeps what was there until the next cut
// collects what the fronts hold. The fault lock covers all of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"
#include "kernel/page_set.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

struct Fronts {
  /// The arena's mapping is private: what it shows may be a front, and not the frame that the books name. Asked by
  /// readers of versions without a lock, between two looks at ArenaBooks::moves.
  std::atomic<bool> in_use{false};

  COW_BY_FAULT_LOCK os::Descriptor pagemap;

  // Pages in private mappings. All others lie in a shared one that nobody watches: fresh, or, where a change of
  // barriers was given up, read-only.
  COW_BY_FAULT_LOCK PageSet taken;
  COW_BY_FAULT_LOCK PageSet unwatched;    // of those taken, the ones that the kernel does not watch yet
  COW_BY_FAULT_LOCK PageSet uncollected;  // of those taken, the ones known to be written since the last cut
  COW_BY_FAULT_LOCK PageSet beneath;      // of those taken, the ones with another frame than home's beneath the front
  COW_BY_FAULT_LOCK PageSet hidden;       // of those taken, the ones whose front must stay: it alone has the content
  COW_BY_FAULT_LOCK PageSet present;      // of those taken, the ones that may have a front
  COW_BY_FAULT_LOCK PageSet warm;         // of those present, the ones that were written lately
  // Those that were ever prepared: a device may have their fronts, which stay for as long as the pages are not
  // discarded.
  COW_BY_FAULT_LOCK PageSet counted_on;
  COW_BY_FAULT_LOCK PageSet unshared;     // after a change to another barrier: still in private mappings, and read-only

  COW_BY_FAULT_LOCK PageSet undone;       // written and rolled back since the last cut

  COW_BY_FAULT_LOCK std::uint64_t collections = 0;  // how often what was written was collected, or fronts came to be
  COW_BY_FAULT_LOCK unsigned cuts_since_cooled = 0;
  // For the choice of a barrier, until it is made: runs of written pages at cuts, and those of the pages that had no
  // front before; runs at rollbacks, and those of the pages that were not undone before since the last cut.
  COW_BY_FAULT_LOCK std::uint64_t runs_collected = 0, fronts_new = 0;
  COW_BY_FAULT_LOCK std::uint64_t runs_undone = 0, pages_undone = 0, pages_undone_first = 0;

  static constexpr std::size_t sets = 10;
  /// Before anybody else knows of the arena.
  void place(std::byte* memory, std::uint64_t pages) noexcept COW_HELD_UNCHECKED {
    for (PageSet* set : {&taken, &unwatched, &uncollected, &beneath, &hidden, &present, &warm, &counted_on, &unshared,
                         &undone}) {
      *set = PageSet(memory, pages);
      memory += PageSet::bytes_for(pages);
    }
  }

  void forget() noexcept COW_FAULT_LOCKED {
    for (PageSet* set : {&taken, &unwatched, &uncollected, &beneath, &hidden, &present, &warm, &counted_on, &undone}) {
      set->clear();
    }
  }
};

}  // namespace cow

// What an arena under the kernel barrier knows of its mappings. The arena is a private mapping of its frames: the
// kernel puts a *front* before a frame when the page is written, and the frame keeps what was there until the next cut
// collects what the fronts hold. The fault lock covers all of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"
#include "kernel/page_set.hpp"
#include "words/units.hpp"

namespace cow {

struct Fronts {
  /// The arena's mapping is private: what it shows may be a front, and not the frame that the books name. Asked by
  /// readers of versions without a lock, between two looks at ArenaBooks::moves.
  std::atomic<bool> in_use{false};

  os::Descriptor pagemap;

  PageSet taken;        // pages in private mappings. All others lie in a shared one that nobody watches: fresh, or, where
                        // a change of barriers was given up, read-only
  PageSet unwatched;    // of those taken, the ones that the kernel does not watch yet
  PageSet uncollected;  // of those taken, the ones known to be written since the last cut
  PageSet beneath;      // of those taken, the ones whose mapping shows another frame than home beneath the front
  PageSet hidden;       // of those taken, the ones whose front is all that shows the content: it must not be dropped
  PageSet present;      // of those taken, the ones that may have a front
  PageSet warm;         // of those present, the ones that were written lately

  PageSet unshared;     // after a change to another barrier: pages that are still in private mappings, and read-only

  PageSet undone;       // pages that were written and rolled back since the last cut

  unsigned cuts_since_cooled = 0;
  std::uint64_t runs_collected = 0;  // for the choice of a barrier, until it is made: runs of written pages at cuts,
  std::uint64_t runs_undone = 0, pages_undone = 0;  // and at rollbacks;
  std::uint64_t pages_undone_first = 0;             // of those pages, the ones not undone before since the last cut

  static constexpr std::size_t sets = 9;
  void place(std::byte* memory, std::uint64_t pages) noexcept {
    for (PageSet* set : {&taken, &unwatched, &uncollected, &beneath, &hidden, &present, &warm, &unshared, &undone}) {
      *set = PageSet(memory, pages);
      memory += PageSet::bytes_for(pages);
    }
  }

  void forget() noexcept {
    for (PageSet* set : {&taken, &unwatched, &uncollected, &beneath, &hidden, &present, &warm, &undone}) set->clear();
  }
};

}  // namespace cow

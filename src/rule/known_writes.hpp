// Writes that the program hands over instead of making them. What it would take to let them through the
// barrier is saved: they go to the frames by a second mapping of the arena's home, the home alias, and the pages stay
// protected for everybody else. Runs in operations only.
#pragma once

#include <span>

#include "books/arena_books.hpp"
#include "books/near_pages.hpp"
#include "cow/arena.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// All of the batch or, with an error, nothing. The ranges lie in the arena. The fault lock is held. `staged`: the
/// content of all parts, one behind the other, if it is not to be read where it is.
os::Error write_known(ArenaBooks& books, std::span<const Write> batch, const std::byte* staged) noexcept
    COW_FAULT_LOCKED;

/// A whole page's new content, and where else that is, for as long as NearPages::still() holds.
struct PageWrite {
  Page page;
  const std::byte* from;
  const std::byte* nearer;
  /// Where not zero_frame, the frame that `from` shows, in a mapping that nobody has touched yet: reading it by the
  /// file costs half of what the fault would.
  Frame frame = zero_frame;
};

/// The same for whole pages, ascending, once the arena was asked what has been written; nobody writes it meanwhile.
/// What nobody shows but the arena is written in its frame: nothing is opened, moved or, under the kernel barrier,
/// hidden by a front.
os::Error write_known_pages(ArenaBooks& books, std::span<const PageWrite> batch, const NearPages& near) noexcept
    COW_FAULT_LOCKED;

/// Whether its source lies in the arena itself: nobody can take that away, and it has what the writes before it stored.
bool reads_its_arena(const ArenaBooks& books, const Write& write) noexcept;

}  // namespace cow

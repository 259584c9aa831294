// Which pages of an arena are its own, which are shared and with whom, and which were never written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cow/units.hpp"

namespace cow {

class Arena;

enum class PageState {
  unwritten,     ///< never written, or discarded: reads as zero, holds no memory
  private_page,  ///< written, and shown by nobody else
  shared,        ///< written, and shown by snapshots or clones too: the next write copies it
  borrowed,      ///< not written since the arena was cloned: shows what it was cloned from
  excluded,      ///< memory of the process that snapshots and rollbacks leave alone: Arena::exclude()
};

/// Pages that are shared alike. Snapshots are numbered from 1, the oldest alive; a page that one of them shows is shown
/// by all newer ones too.
struct PageGroup {
  PageState state = PageState::unwritten;
  std::size_t oldest_snapshot = 0;       ///< the oldest that shows them; 0: none
  std::vector<const std::byte*> clones;  ///< data() of each clone that shows them, itself or by a snapshot of its own
  bool gone_clones = false;              ///< snapshots of clones that are gone show them too
  std::uint64_t pages = 0;
};

struct COW_API PageMap {
  struct Run {
    PageRange pages;
    std::size_t group = 0;
  };

  std::string arena;
  std::size_t page_bytes = 0;
  std::size_t pages = 0;
  std::size_t snapshots = 0;  ///< alive
  std::vector<PageGroup> groups;
  std::vector<Run> runs;  ///< sorted, without gaps, over the whole arena

  std::uint64_t pages_in(PageState state) const noexcept;
};

/// Cost: some nanoseconds for each page written, and for each clone. Sums agree with the statistics: private and shared
/// pages are ArenaStats::pages_private, borrowed ones pages_borrowed. Beside running writers the parts are of
/// slightly different moments. Throws std::logic_error for a moved-from arena, std::system_error without memory.
COW_API PageMap map_pages(const Arena& arena);

struct PageMapStyle {
  std::size_t columns = 64;  ///< characters or squares in a row
  std::size_t rows = 16;     ///< at most; a character stands for as many pages as that takes
  bool colours = false;      ///< of a terminal: ask isatty()
};

/// One character for each block of pages, up to the last that was written, and a legend. A block of several groups
/// shows the one that most of its pages are of; never written only if all are.
COW_API std::string to_text(const PageMap& map, const PageMapStyle& style = {});

/// The same as a picture with tooltips.
COW_API std::string to_svg(const PageMap& map, const PageMapStyle& style = {});

}  // namespace cow

// Content in saved files as few mappings: a layer's scattered pages are copied over the file that they lie on.
#pragma once

#include "books/arena_books.hpp"
#include "books/run_list.hpp"
#include "kernel/os.hpp"
#include "storage/frame_file.hpp"

namespace cow {

/// Whether the runs are many, and some of them lie in saved files.
bool scattered_in_saved_files(const FrameFile& file, const RunList& runs) noexcept;

/// Shows runs read-only over an address range that nobody uses yet. Saved files are mapped privately, and short runs in
/// the middle of a long one become pages of that mapping's own.
os::Error map_saved_with_copies(const FrameFile& file, std::byte* base, const RunList& runs) noexcept;
/// So many mappings that makes at most.
std::uint64_t mappings_with_copies(const RunList& runs) noexcept;

/// Whether the page's memory may go while it is mapped: it may show a saved file, or a front before one, and somebody
/// may cut that short, which takes both. Then reading it is SIGBUS.
inline bool may_vanish(const ArenaBooks& books, Page p) noexcept {
  if (books.family.file.saved().empty()) return false;
  return SavedFiles::owns(books.frame_of(p)) || books.fronts.in_use.load(std::memory_order_relaxed);
}

/// Asks for such pages by the kernel, before they are read, or stored to, where no SIGBUS may come: EFAULT. Nothing
/// where the family has no saved files.
os::Error touch_what_may_vanish(const ArenaBooks& books, Pages run, os::Access access) noexcept;

}  // namespace cow

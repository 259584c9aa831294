// A version's content in bulk, without holding up its arena's writers and without lending: what the books say of a page
// is asked before and after it is read.
#pragma once

#include <cstddef>

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// Where a version's content of a page is. A live page holds it only for as long as its entry stays what it was.
struct Source {
  Frame frame;
  bool live = false;
  PageTable::Entry entry;
};

os::Result<Source> find_source(Version& version, Page p) noexcept;

/// Copies whole pages to memory of ours. Cost: a system call for each run of neighbouring frames, and the time to copy.
os::Error read_pages(Version& version, Pages run, std::byte* into) noexcept;

/// Which pages may differ from zero, and the frames that show them at this moment: they may change as soon as this has
/// returned. Two versions of one family that show the same frame have the same content there. Cost: that of a clone's
/// list.
os::Error list_content(Version& version, RunList& runs) noexcept;

/// Pages that were written since the version, and are kept for it, as far as the logs tell now.
os::Error list_kept(Version& version, BookVector<Page>& pages) noexcept;

/// Gives up what is kept of the version for pages that nobody will ask it for again. Only where nobody else has it:
/// true if so. Cost: of what its log holds.
bool let_go(Version& version, const PageSet& done) noexcept;

}  // namespace cow

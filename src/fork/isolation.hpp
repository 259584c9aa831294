// In the child of a fork(), an arena's range becomes memory of the child's own. Runs where only one thread is,
// and takes no lock.
#pragma once

#include <span>

#include "books/arena_books.hpp"
#include "books/run_list.hpp"
#include "kernel/os.hpp"

namespace cow {

/// Shows the content of a version, at the arena's own addresses, through at most about `most_mappings` private
/// mappings: the kernel copies what the child writes. Frames that the runs show must stay as they are for as long as
/// the child lives. On failure the range is in pieces and must be sealed off.
/// What was excluded is private already, and stays.
os::Error isolate(ArenaBooks& books, std::span<const Run> runs, std::span<const Pages> excluded,
                  std::uint64_t most_mappings) noexcept;

}  // namespace cow

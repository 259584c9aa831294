// What Arena and ArenaRef do to a range of memory: write into it, open it, give it up. The ranges are checked here.
#pragma once

#include <cstddef>
#include <span>

#include "books/arena_books.hpp"
#include "cow/arena.hpp"

namespace cow {

/// All of the batch or, with an exception, nothing.
void write_batch(ArenaBooks& books, std::span<const Write> batch);

/// Makes the pages of a range writable until the next snapshot, for the kernel too.
void prepare_range(ArenaBooks& books, void* p, std::size_t n);

/// The whole pages in a range read as zero afterwards, and take no memory.
void discard_range(ArenaBooks& books, void* p, std::size_t n);

}  // namespace cow

// Units that cross the public edge: the page size and ranges of pages.
#pragma once

#include <cstddef>

#include "cow/export.hpp"

namespace cow {

/// Bytes in a page: the unit in which writes are caught and content is shared. Read from the kernel
/// at run time (4,096 on x86-64; 4,096, 16,384 or 65,536 on aarch64). Async-signal-safe.
COW_API std::size_t page_size() noexcept;

/// A run of neighbouring pages of an arena, counted in pages from the arena's start.
struct PageRange {
  std::size_t first = 0;
  std::size_t count = 0;

  friend bool operator==(const PageRange&, const PageRange&) = default;
};

}  // namespace cow

// A view's mapping that stayed when the view was closed, since views of the same frames were opened again and again:
// the next one needs no mapping and no page table made anew. While it is idle it shows whatever its frames hold.
#pragma once

#include <cstddef>
#include <cstdint>

#include "books/run_list.hpp"

namespace cow {

struct IdleView {
  RunList shown;  // by the last view that was closed, as far as those are few runs
  std::byte* reservation = nullptr;  // null: none is idle
  std::size_t reserved_bytes = 0;
  std::uint64_t mappings = 0;
};

}  // namespace cow

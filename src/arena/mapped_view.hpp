// What lies behind a cow::View.
#pragma once

#include <cstddef>
#include <cstdint>

#include "books/arena_books.hpp"

namespace cow {

namespace detail {

struct MappedView {
  Version* version = nullptr;  // one handle of it
  Loan* loan = nullptr;
  FaultSlot* slot = nullptr;
  std::byte* reservation = nullptr;  // with an inaccessible page on each side
  std::size_t reserved_bytes = 0;
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  std::uint64_t mappings = 0;
  RunList shown;                     // where it is these frames and nothing else; empty otherwise
};

}  // namespace detail

detail::MappedView* map_view(Version& version);

}  // namespace cow

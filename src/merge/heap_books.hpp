// The books of a heap that lies in an arena, as bytes that a merge must not put together of two sides.
#pragma once

#include <cstddef>

#include "heap/layout.hpp"

namespace cow {

/// How many bytes at the arena's start are a heap's books; 0 where it holds none. Behind the books is at least a page.
inline std::size_t heap_books_bytes(const std::byte* arena_begin, std::size_t capacity) noexcept {
  const detail::Geometry geometry = detail::Geometry::of(capacity);
  if (geometry.first_unit >= geometry.unit_count) return 0;
  const auto* const header = reinterpret_cast<const detail::Header*>(arena_begin);
  const bool heap = header->magic == detail::heap_magic && header->capacity == capacity;
  return heap ? geometry.first_unit * detail::unit_bytes : 0;
}

}  // namespace cow

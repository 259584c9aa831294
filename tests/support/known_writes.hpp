// What tests of write() say: pages that are filled by it, bytes that nothing else has, faults that it must not take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cow/cow.hpp"
#include "support/pages.hpp"

namespace cow::test {

/// A page full of the value.
inline std::vector<std::uint64_t> page_of(std::uint64_t value) {
  return std::vector<std::uint64_t>(words_in_page(), value);
}

/// As fill() does, by one write().
inline void write_page(Arena& arena, std::size_t page, std::uint64_t value) {
  arena.write(page_at(arena, page), page_of(value).data(), page_size());
}
inline void write_page(Painted& painted, std::size_t page, std::uint64_t value) {
  write_page(painted.arena(), page, value);
  Picture picture = painted.picture();
  picture[page] = value;
  painted.set_picture(picture);
}

/// Bytes that differ from seed to seed and from place to place.
inline Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((seed * 0x9e3779b97f4a7c15U + i * 0xbf58476d1ce4e5b9U) >> 56);
  return bytes;
}

}  // namespace cow::test

// Finding where two runs of bytes begin and stop to differ, by granules. Knows nothing of arenas.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cow {

namespace detail {

inline std::uint64_t word_at(const std::byte* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// Whether each lane of `bits` bits has any bit set.
inline bool all_lanes(std::uint64_t word, std::size_t bytes) noexcept {
  if (bytes == 8) return word != 0;
  const std::uint64_t lows = bytes == 1 ? 0x0101010101010101u : bytes == 2 ? 0x0001000100010001u : 0x0000000100000001u;
  return ((word - lows) & ~word & lows << (8 * bytes - 1)) == 0;
}

}  // namespace detail

/// The first granule at or behind `from` that differs, or `size`. All three are multiples of the granule.
inline std::size_t next_difference(const std::byte* a, const std::byte* b, std::size_t from, std::size_t size,
                                   std::size_t granule) noexcept {
  constexpr std::size_t block = 512;  // where memcmp() is at its best
  std::size_t at = from;
  while (size - at >= block && std::memcmp(a + at, b + at, block) == 0) at += block;
  while (size - at >= sizeof(std::uint64_t) && detail::word_at(a + at) == detail::word_at(b + at)) {
    at += sizeof(std::uint64_t);
  }
  while (at < size && a[at] == b[at]) ++at;
  return at - at % granule;
}

/// The first granule at or behind `from` that does not differ, or `size`.
inline std::size_t next_equal(const std::byte* a, const std::byte* b, std::size_t from, std::size_t size,
                              std::size_t granule) noexcept {
  std::size_t at = from;
  if (granule <= sizeof(std::uint64_t)) {
    while (size - at >= sizeof(std::uint64_t) &&
           detail::all_lanes(detail::word_at(a + at) ^ detail::word_at(b + at), granule)) {
      at += sizeof(std::uint64_t);
    }
  }
  while (at < size && std::memcmp(a + at, b + at, granule) != 0) at += granule;
  return at;
}

}  // namespace cow

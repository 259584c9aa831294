// Merging bytes by granules, and nothing else: three sides in, one out. Knows no arenas.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cow {

/// The same bytes on each side, a multiple of 64 of them.
struct Sides {
  const std::byte* ours;
  const std::byte* base;
  const std::byte* theirs;
  std::size_t bytes;
};

inline constexpr std::size_t largest_granule = 64;

/// Writes to `out` what only one side has changed, and of a conflict ours, or theirs. `granule`: a power of two up to
/// 64. True if there is any conflict.
bool merge_granules(const Sides& sides, std::size_t granule, bool theirs_win, std::byte* out) noexcept;

/// The first conflicting granule at or behind `from`, or `bytes`.
std::size_t next_conflict(const Sides& sides, std::size_t granule, std::size_t from) noexcept;

/// How many bytes differ.
std::uint64_t count_different(const std::byte* a, const std::byte* b, std::size_t bytes) noexcept;

}  // namespace cow

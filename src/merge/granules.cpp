// See merge/granules.hpp. The compiler's vectors; where theirs has changed nothing the library's memcmp(), which is
// faster still, passes over it.
#include "merge/granules.hpp"

#include <algorithm>
#include <cstring>

#include "words/mutants.hpp"

namespace cow {
namespace {

constexpr std::size_t block = 512;  // of which it is asked as a whole whether theirs has changed it

template <class Lane, std::size_t Bytes>
struct Vector {
  typedef Lane type __attribute__((vector_size(Bytes)));
};

template <class V>
[[gnu::always_inline]] inline void load(const std::byte* from, V& value) noexcept {
  std::memcpy(&value, from, sizeof value);
}

template <class V>
[[gnu::always_inline]] inline bool any(const V& lanes) noexcept {
  std::uint64_t words[sizeof(V) / 8], all = 0;
  std::memcpy(words, &lanes, sizeof words);
  for (const std::uint64_t word : words) all |= word;
  return all != 0;
}

/// The misreadings of the rule that the tests know, applied to one granule's lane masks. Not in the library.
struct Reading {
  bool equal_changes_conflict = mutant(Mutant::merge_equal_changes_conflict);
  bool takes_theirs_first = mutant(Mutant::merge_prefers_theirs);
};

/// A granule is a lane.
template <class Lane, std::size_t Bytes, bool TheirsWin>
[[gnu::always_inline]] inline bool merge_lanes(const Sides& sides, std::byte* out) noexcept {
  using V = typename Vector<Lane, Bytes>::type;
  using Mask = decltype(V{} != V{});
  const Reading reading;
  Mask conflicts{};
  for (std::size_t at = 0; at < sides.bytes; at += Bytes) {
    V ours, base, theirs;
    load(sides.ours + at, ours), load(sides.base + at, base), load(sides.theirs + at, theirs);
    const Mask by_us = ours != base, by_them = theirs != base;
    Mask conflict = by_us & by_them;
    if (!reading.equal_changes_conflict) conflict &= ours != theirs;
    conflicts |= conflict;
    Mask stays = TheirsWin ? by_us & ~conflict : by_us;
    if (reading.takes_theirs_first) stays = ~by_them;
    const V merged = (ours & reinterpret_cast<V>(stays)) | (theirs & ~reinterpret_cast<V>(stays));
    std::memcpy(out + at, &merged, Bytes);
  }
  return any(conflicts);
}

template <std::size_t Bytes, bool TheirsWin>
[[gnu::always_inline]] inline bool merge_small(const Sides& sides, std::size_t granule, std::byte* out) noexcept {
  switch (granule) {
    case 1: return merge_lanes<std::uint8_t, Bytes, TheirsWin>(sides, out);
    case 2: return merge_lanes<std::uint16_t, Bytes, TheirsWin>(sides, out);
    case 4: return merge_lanes<std::uint32_t, Bytes, TheirsWin>(sides, out);
    default: return merge_lanes<std::uint64_t, Bytes, TheirsWin>(sides, out);
  }
}

bool merge_small_anywhere(const Sides& sides, std::size_t granule, bool theirs_win, std::byte* out) noexcept {
  return theirs_win ? merge_small<16, true>(sides, granule, out) : merge_small<16, false>(sides, granule, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) bool merge_small_by_32(const Sides& sides, std::size_t granule, bool theirs_win,
                                                       std::byte* out) noexcept {
  return theirs_win ? merge_small<32, true>(sides, granule, out) : merge_small<32, false>(sides, granule, out);
}
bool merge_lanes_here(const Sides& sides, std::size_t granule, bool theirs_win, std::byte* out) noexcept {
  if (__builtin_cpu_supports("avx2")) return merge_small_by_32(sides, granule, theirs_win, out);
  return merge_small_anywhere(sides, granule, theirs_win, out);
}
#else
bool merge_lanes_here(const Sides& sides, std::size_t granule, bool theirs_win, std::byte* out) noexcept {
  return merge_small_anywhere(sides, granule, theirs_win, out);
}
#endif

bool differ(const std::byte* a, const std::byte* b, std::size_t bytes) noexcept {
  return std::memcmp(a, b, bytes) != 0;
}

bool is_conflict(const Sides& sides, std::size_t granule, std::size_t at) noexcept {
  const std::byte *ours = sides.ours + at, *base = sides.base + at, *theirs = sides.theirs + at;
  if (!differ(theirs, base, granule) || !differ(ours, base, granule)) return false;
  return differ(ours, theirs, granule) || Reading().equal_changes_conflict;
}

/// A granule is longer than a lane can be.
bool merge_long(const Sides& sides, std::size_t granule, bool theirs_win, std::byte* out) noexcept {
  bool conflicts = false;
  for (std::size_t at = 0; at < sides.bytes; at += granule) {
    const bool conflict = is_conflict(sides, granule, at);
    conflicts |= conflict;
    bool stays = differ(sides.ours + at, sides.base + at, granule) && !(conflict && theirs_win);
    if (Reading().takes_theirs_first) stays = !differ(sides.theirs + at, sides.base + at, granule);
    std::memcpy(out + at, (stays ? sides.ours : sides.theirs) + at, granule);
  }
  return conflicts;
}

Sides part_of(const Sides& sides, std::size_t at, std::size_t bytes) noexcept {
  return {sides.ours + at, sides.base + at, sides.theirs + at, bytes};
}

}  // namespace

bool merge_granules(const Sides& sides, std::size_t granule, bool theirs_win, std::byte* out) noexcept {
  bool conflicts = false;
  for (std::size_t at = 0; at < sides.bytes; at += block) {
    const std::size_t bytes = std::min(block, sides.bytes - at);
    if (!differ(sides.theirs + at, sides.base + at, bytes)) {
      std::memcpy(out + at, sides.ours + at, bytes);
      continue;
    }
    const Sides part = part_of(sides, at, bytes);
    conflicts |= granule <= sizeof(std::uint64_t) ? merge_lanes_here(part, granule, theirs_win, out + at)
                                                  : merge_long(part, granule, theirs_win, out + at);
  }
  return conflicts;
}

std::size_t next_conflict(const Sides& sides, std::size_t granule, std::size_t from) noexcept {
  for (std::size_t at = from; at < sides.bytes; at += granule) {
    if (is_conflict(sides, granule, at)) return at;
  }
  return sides.bytes;
}

namespace {

template <std::size_t Bytes>
[[gnu::always_inline]] inline std::uint64_t count_lanes(const std::byte* a, const std::byte* b,
                                                        std::size_t bytes) noexcept {
  using V = typename Vector<std::uint8_t, Bytes>::type;
  constexpr std::size_t at_once = 255 * sizeof(V);  // a lane counts to 255
  std::uint64_t count = 0;
  for (std::size_t begin = 0; begin < bytes; begin += at_once) {
    V lanes{};
    const std::size_t end = std::min(bytes, begin + at_once);
    for (std::size_t at = begin; at < end; at += sizeof(V)) {
      V x, y;
      load(a + at, x), load(b + at, y);
      lanes -= reinterpret_cast<V>(x != y);
    }
    std::uint8_t counts[sizeof(V)];
    std::memcpy(counts, &lanes, sizeof counts);
    for (const std::uint8_t lane : counts) count += lane;
  }
  return count;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint64_t count_by_32(const std::byte* a, const std::byte* b,
                                                          std::size_t bytes) noexcept {
  return count_lanes<32>(a, b, bytes);
}
#endif

}  // namespace

std::uint64_t count_different(const std::byte* a, const std::byte* b, std::size_t bytes) noexcept {
#if defined(__x86_64__)
  if (bytes % 32 == 0 && __builtin_cpu_supports("avx2")) return count_by_32(a, b, bytes);
#endif
  return count_lanes<16>(a, b, bytes);
}

}  // namespace cow

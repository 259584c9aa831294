// Page, frame and epoch as types that do not mix. Includes nothing of the project.
#pragma once

#include <compare>
#include <cstdint>

namespace cow {

/// A 64-bit index that only meets its own kind.
template <class Tag>
struct Index {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(Index, Index) noexcept = default;
  friend constexpr Index operator+(Index i, std::uint64_t n) noexcept { return {i.value + n}; }
  friend constexpr Index operator-(Index i, std::uint64_t n) noexcept { return {i.value - n}; }
  friend constexpr std::uint64_t operator-(Index a, Index b) noexcept { return a.value - b.value; }
  constexpr Index& operator++() noexcept { return ++value, *this; }
};

using Page = Index<struct PageTag>;    ///< a unit of an arena's address range, counted from its start
using Frame = Index<struct FrameTag>;  ///< a unit of the memory file
using Epoch = Index<struct EpochTag>;  ///< an arena's counter; each snapshot advances it

/// What a page shows that was never written: no frame, reads as zero.
inline constexpr Frame zero_frame{~std::uint64_t{0}};

/// Births that are not epochs of the arena itself; its own epochs start at first_epoch.
inline constexpr Epoch never_written{0};
inline constexpr Epoch borrowed_birth{1};
inline constexpr Epoch first_epoch{2};

/// A run of neighbouring pages.
struct Pages {
  Page first;
  std::uint64_t count = 0;

  constexpr Page end() const noexcept { return first + count; }
  friend constexpr bool operator==(const Pages&, const Pages&) noexcept = default;
};

/// A run of neighbouring pages that shows neighbouring frames (or, with zero_frame, no frames).
struct Run {
  Page first;
  std::uint64_t count = 0;
  Frame frame;

  constexpr Page end() const noexcept { return first + count; }
  constexpr Frame frame_of(Page p) const noexcept { return frame == zero_frame ? zero_frame : frame + (p - first); }
  /// Whether `next` goes on where this run ends, in pages and in frames.
  constexpr bool continues_in(const Run& next) const noexcept {
    if (end() != next.first) return false;
    return frame == zero_frame ? next.frame == zero_frame : next.frame != zero_frame && frame + count == next.frame;
  }
};

}  // namespace cow

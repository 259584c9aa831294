// The regions of a merge, made disjoint, and what their rules do to bytes. Knows no arenas.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cow/merge.hpp"
#include "merge/granules.hpp"

namespace cow {

class Regions {
 public:
  struct Part {
    std::size_t begin, end;
    MergeRule rule;
  };

  /// Throws std::invalid_argument for those that cannot be in an arena of that capacity. Later ones win.
  Regions(std::span<const MergeRegion> regions, std::size_t capacity);

  /// Those that lie in [begin, end), in part at least: sorted, disjoint, none by_granule.
  std::span<const Part> in(std::size_t begin, std::size_t end) const noexcept;
  bool has(MergeRule rule, std::size_t begin, std::size_t end) const noexcept;

 private:
  void paint(const Part& part);

  std::vector<Part> parts_;
};

/// Calls f(begin, end, rule), counted from `offset`, for what the parts have of the `bytes` bytes from there.
template <class F>
void for_each_piece(std::span<const Regions::Part> parts, std::size_t offset, std::size_t bytes, F&& f) {
  for (const Regions::Part& part : parts) {
    const std::size_t begin = part.begin < offset ? 0 : part.begin - offset;
    f(begin, part.end - offset < bytes ? part.end - offset : bytes, part.rule);
  }
}

/// Puts into `out` what the rule makes of the bytes [begin, end) of the sides.
void apply_rule(MergeRule rule, const Sides& sides, std::size_t begin, std::size_t end, std::byte* out) noexcept;

}  // namespace cow

// See merge/regions.hpp.
#include "merge/regions.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "words/amounts.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

/// Bytes of one number; 1 where the rule is about bytes. 0: no such rule.
std::size_t element_bytes(MergeRule rule) noexcept {
  switch (rule) {
    case MergeRule::sum_i32: return 4;
    case MergeRule::sum_i64:
    case MergeRule::sum_f64:
    case MergeRule::min_i64:
    case MergeRule::max_i64: return 8;
    case MergeRule::by_granule:
    case MergeRule::keep_ours:
    case MergeRule::take_theirs: return 1;
  }
  return 0;
}

[[noreturn]] void refuse(const MergeRegion& region, const std::string& why) {
  throw std::invalid_argument("cow: merge: a region of " + counted(region.bytes, "byte") + " at " +
                              std::to_string(region.offset) + " " + why);
}

void check(const MergeRegion& region, std::size_t capacity) {
  const std::size_t element = element_bytes(region.rule);
  if (element == 0) refuse(region, "has a rule that there is not");
  if (region.offset > capacity || region.bytes > capacity - region.offset) {
    refuse(region, "does not lie in an arena of " + counted(capacity, "byte"));
  }
  if (region.bytes % element != 0 || region.offset % element != 0) {
    refuse(region, "is for numbers of " + counted(element, "byte") + ": offset and size must be multiples of that");
  }
}

template <class Number, class Both>
void apply(const Sides& sides, std::size_t begin, std::size_t end, std::byte* out, Both&& both) noexcept {
  for (std::size_t at = begin; at < end; at += sizeof(Number)) {
    Number ours, base, theirs;
    std::memcpy(&ours, sides.ours + at, sizeof ours);
    std::memcpy(&base, sides.base + at, sizeof base);
    std::memcpy(&theirs, sides.theirs + at, sizeof theirs);
    const bool by_us = std::memcmp(&ours, &base, sizeof ours) != 0;
    const bool by_them = std::memcmp(&theirs, &base, sizeof theirs) != 0;
    const Number merged = by_us && by_them ? both(ours, base, theirs) : by_them ? theirs : ours;
    std::memcpy(out + at, &merged, sizeof merged);
  }
}

template <class Number>
Number sum(Number ours, Number base, Number theirs) noexcept {
  return mutant(Mutant::merge_sum_forgets_base) ? ours + theirs : ours + (theirs - base);
}

}  // namespace

Regions::Regions(std::span<const MergeRegion> regions, std::size_t capacity) {
  for (const MergeRegion& region : regions) {
    check(region, capacity);
    if (region.bytes == 0) continue;
    const Part part{region.offset, region.offset + region.bytes, region.rule};
    for (const Part& below : in(part.begin, part.end)) {
      const std::size_t element = element_bytes(below.rule);
      const bool cut = (part.begin > below.begin && part.begin % element != 0) ||
                       (part.end < below.end && part.end % element != 0);
      if (cut) refuse(region, "cuts a number of an earlier region in two");
    }
    paint(part);
  }
}

void Regions::paint(const Part& part) {
  if (mutant(Mutant::merge_first_region_wins) && !in(part.begin, part.end).empty()) return;
  std::vector<Part> painted;
  painted.reserve(parts_.size() + 2);
  for (const Part& below : parts_) {
    if (below.begin < part.begin) painted.push_back({below.begin, std::min(below.end, part.begin), below.rule});
    if (below.end > part.end) painted.push_back({std::max(below.begin, part.end), below.end, below.rule});
  }
  if (part.rule != MergeRule::by_granule) painted.push_back(part);
  std::sort(painted.begin(), painted.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
  parts_ = std::move(painted);
}

std::span<const Regions::Part> Regions::in(std::size_t begin, std::size_t end) const noexcept {
  const auto first = std::partition_point(parts_.begin(), parts_.end(), [&](const Part& p) { return p.end <= begin; });
  const auto last = std::partition_point(first, parts_.end(), [&](const Part& p) { return p.begin < end; });
  return {first, last};
}

bool Regions::has(MergeRule rule, std::size_t begin, std::size_t end) const noexcept {
  const std::span<const Part> parts = in(begin, end);
  return std::any_of(parts.begin(), parts.end(), [&](const Part& part) { return part.rule == rule; });
}

void apply_rule(MergeRule rule, const Sides& sides, std::size_t begin, std::size_t end, std::byte* out) noexcept {
  switch (rule) {
    case MergeRule::sum_i32: return apply<std::uint32_t>(sides, begin, end, out, sum<std::uint32_t>);
    case MergeRule::sum_i64: return apply<std::uint64_t>(sides, begin, end, out, sum<std::uint64_t>);
    case MergeRule::sum_f64: return apply<double>(sides, begin, end, out, sum<double>);
    case MergeRule::min_i64:
      return apply<std::int64_t>(sides, begin, end, out, [](auto o, auto, auto t) { return std::min(o, t); });
    case MergeRule::max_i64:
      return apply<std::int64_t>(sides, begin, end, out, [](auto o, auto, auto t) { return std::max(o, t); });
    case MergeRule::take_theirs: return void(std::memcpy(out + begin, sides.theirs + begin, end - begin));
    case MergeRule::keep_ours:
    case MergeRule::by_granule: return void(std::memcpy(out + begin, sides.ours + begin, end - begin));
  }
}

}  // namespace cow

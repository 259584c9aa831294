// What a merge must come to, worked out byte by byte from the words of cow/merge.hpp. Slow, and shares nothing with the
// library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cow/merge.hpp"

namespace cow::test {

using MergeBytes = std::vector<std::byte>;

struct MergedByHand {
  MergeBytes content;  // with conflicts resolved as the options say; of `refuse`, ours
  std::vector<ByteRange> conflicts;
  bool refused = false;
};

namespace detail {

template <class Number, class Both>
void merge_number(MergeBytes& content, const MergeBytes& ours, const MergeBytes& base, const MergeBytes& theirs,
                  std::size_t at, Both both) {
  Number o, b, t;
  std::memcpy(&o, &ours[at], sizeof o);
  std::memcpy(&b, &base[at], sizeof b);
  std::memcpy(&t, &theirs[at], sizeof t);
  const bool by_us = std::memcmp(&o, &b, sizeof o) != 0, by_them = std::memcmp(&t, &b, sizeof t) != 0;
  const Number merged = by_us && by_them ? both(o, b, t) : by_us ? o : t;
  std::memcpy(&content[at], &merged, sizeof merged);
}

inline std::size_t number_bytes(MergeRule rule) {
  if (rule == MergeRule::sum_i32) return 4;
  return rule == MergeRule::keep_ours || rule == MergeRule::take_theirs ? 1 : 8;
}

}  // namespace detail

inline MergedByHand merged_by_hand(const MergeBytes& ours, const MergeBytes& base, const MergeBytes& theirs,
                                   const MergeOptions& options) {
  MergedByHand merged{ours, {}, false};
  std::vector<MergeRule> rules(ours.size(), MergeRule::by_granule);
  for (const MergeRegion& region : options.regions) {
    std::fill_n(rules.begin() + static_cast<std::ptrdiff_t>(region.offset), region.bytes, region.rule);
  }
  for (std::size_t at = 0; at < ours.size(); at += options.granule) {
    bool by_us = false, by_them = false, equal = true;
    for (std::size_t i = at; i < at + options.granule; ++i) {
      if (rules[i] != MergeRule::by_granule) continue;
      by_us |= ours[i] != base[i];
      by_them |= theirs[i] != base[i];
      equal &= ours[i] == theirs[i];
    }
    if (!by_them) continue;
    const bool conflict = by_us && !equal;
    if (conflict && !merged.conflicts.empty() && merged.conflicts.back().offset + merged.conflicts.back().bytes == at) {
      merged.conflicts.back().bytes += options.granule;
    } else if (conflict) {
      merged.conflicts.push_back({at, options.granule});
    }
    if (by_us && !(conflict && options.on_conflict == OnConflict::take_theirs)) continue;
    for (std::size_t i = at; i < at + options.granule; ++i) {
      if (rules[i] == MergeRule::by_granule) merged.content[i] = theirs[i];
    }
  }
  for (std::size_t at = 0; at < ours.size();) {
    const MergeRule rule = rules[at];
    if (rule == MergeRule::by_granule) {
      ++at;
      continue;
    }
    const auto number = [&]<class N>(N, auto both) {
      detail::merge_number<N>(merged.content, ours, base, theirs, at, both);
    };
    const auto add = [](auto o, auto b, auto t) { return o + (t - b); };
    if (rule == MergeRule::sum_i32) number(std::uint32_t{}, add);
    if (rule == MergeRule::sum_i64) number(std::uint64_t{}, add);
    if (rule == MergeRule::sum_f64) number(double{}, add);
    if (rule == MergeRule::min_i64) number(std::int64_t{}, [](auto o, auto, auto t) { return t < o ? t : o; });
    if (rule == MergeRule::max_i64) number(std::int64_t{}, [](auto o, auto, auto t) { return t > o ? t : o; });
    if (rule == MergeRule::take_theirs) merged.content[at] = theirs[at];
    at += detail::number_bytes(rule);
  }
  merged.refused = options.on_conflict == OnConflict::refuse && !merged.conflicts.empty();
  if (merged.refused) merged.content = ours;
  return merged;
}

}  // namespace cow::test

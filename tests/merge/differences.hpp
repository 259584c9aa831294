// What tests of this folder say about differences between versions.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "cow/cow.hpp"
#include "support/pages.hpp"

namespace cow::test {

inline bool has_page(const std::vector<PageRange>& ranges, std::size_t page) {
  for (const PageRange& range : ranges)
    if (page >= range.first && page < range.first + range.count) return true;
  return false;
}

inline std::size_t pages_in(const std::vector<PageRange>& ranges) {
  std::size_t total = 0;
  for (const PageRange& range : ranges) total += range.count;
  return total;
}

struct FoundDifference {
  std::size_t offset;
  Bytes before, after;
};

inline std::vector<FoundDifference> differences(const Snapshot& a, const Snapshot& b, std::size_t granule = 1) {
  std::vector<FoundDifference> found;
  for_each_difference(
      a, b,
      [&](const Difference& d) {
        found.push_back({d.offset, Bytes(d.before.begin(), d.before.end()), Bytes(d.after.begin(), d.after.end())});
      },
      granule);
  return found;
}

inline Bytes content_of(const Snapshot& snapshot) {
  Bytes bytes(snapshot.capacity());
  snapshot.read(0, bytes);
  return bytes;
}

/// Whether what was told makes `b` of `a`, and is told in maximal runs of granules that differ each.
inline testing::AssertionResult is_exact(const Snapshot& a, const Snapshot& b, std::size_t granule) {
  const Bytes from = content_of(a), to = content_of(b);
  std::vector<FoundDifference> expected;
  for (std::size_t at = 0; at < from.size(); at += granule) {
    if (std::memcmp(from.data() + at, to.data() + at, granule) == 0) continue;
    const bool goes_on = !expected.empty() && expected.back().offset + expected.back().before.size() == at;
    if (!goes_on) expected.push_back({at, {}, {}});
    expected.back().before.insert(expected.back().before.end(), &from[at], &from[at] + granule);
    expected.back().after.insert(expected.back().after.end(), &to[at], &to[at] + granule);
  }
  const std::vector<FoundDifference> found = differences(a, b, granule);
  if (found.size() != expected.size()) {
    return testing::AssertionFailure() << found.size() << " differences, expected " << expected.size();
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].offset != expected[i].offset || found[i].before != expected[i].before ||
        found[i].after != expected[i].after) {
      return testing::AssertionFailure() << "difference " << i << " at " << found[i].offset << " of "
                                         << found[i].before.size() << " bytes, expected at " << expected[i].offset
                                         << " of " << expected[i].before.size();
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace cow::test

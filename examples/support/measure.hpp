// What the examples measure with: times, and pages copied.
#pragma once

#include <cow/stats.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace examples {

template <class Step>
double microseconds_of(const Step& step) {
  const auto start = std::chrono::steady_clock::now();
  step();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

/// The value below which this part of all values lies: the median for 0.5. 0 without values.
inline double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

inline std::uint64_t pages_copied(const cow::ArenaStats& stats) noexcept {
  return stats.pages_moved + stats.pages_to_history;
}

}  // namespace examples

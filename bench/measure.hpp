// What one measurement is: the parts of a cycle, a stopwatch, medians. Knows no competitor and no report.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>
#include <vector>

namespace bench {

/// The parts of a cycle that are measured apart. Times are in nanoseconds.
enum class Part : std::size_t {
  total,         ///< what the competitor is judged by; which parts it sums up is stated where it is measured
  snapshot,      ///< taking the snapshot, clone or view
  writes,        ///< the writes that follow, first writes among them
  drop,          ///< giving the previous snapshot back
  reads,         ///< reading the old content
  restore,       ///< putting the old content back in place
  first_writes,  ///< a count: distinct pages written in the cycle
  level,         ///< a plain number that is no time, such as bytes a page
};
inline constexpr std::size_t part_count = 8;
inline constexpr std::array<std::string_view, part_count> part_names = {
    "total", "snapshot", "writes", "drop", "reads", "restore", "first_writes", "level"};

/// One value for each part; NaN where the part does not apply. Trivially copyable: it crosses a pipe.
class Sample {
 public:
  Sample() noexcept { values_.fill(std::numeric_limits<double>::quiet_NaN()); }

  double& operator[](Part part) noexcept { return values_[static_cast<std::size_t>(part)]; }
  double operator[](Part part) const noexcept { return values_[static_cast<std::size_t>(part)]; }

 private:
  std::array<double, part_count> values_;
};

class Stopwatch {
 public:
  /// Nanoseconds since the last call, or since construction.
  double lap_ns() noexcept {
    const auto now = std::chrono::steady_clock::now();
    const double ns = std::chrono::duration<double, std::nano>(now - last_).count();
    last_ = now;
    return ns;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// The value below which `share` of the values lie, interpolated; NaN for none.
inline double quantile(std::vector<double> values, double share) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double position = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - static_cast<double>(below));
}

inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

/// Part by part; a part that is missing in the first sample is missing in all.
inline Sample median_of(const std::vector<Sample>& samples) {
  Sample result;
  for (std::size_t i = 0; i < part_count; ++i) {
    const auto part = static_cast<Part>(i);
    std::vector<double> values;
    for (const Sample& sample : samples) {
      if (!std::isnan(sample[part])) values.push_back(sample[part]);
    }
    result[part] = median(std::move(values));
  }
  return result;
}

}  // namespace bench

// Which pages are written, cycle after cycle, from a seed. Knows no memory.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "setting.hpp"

namespace bench {

using Page = std::uint32_t;

/// Scatters 0 .. count-1 over themselves, each once. A small keyed bijection on the next power of two, walked
/// until it lands inside.
class Permutation {
 public:
  Permutation(std::size_t count, std::uint64_t key) noexcept;
  Page operator()(std::size_t index) const noexcept;

 private:
  std::uint64_t mix(std::uint64_t value) const noexcept;

  std::uint64_t count_, mask_, key_;
  unsigned shift_;
};

/// Draws ranks 0 .. count-1 with weight 1 / (rank + 1)^0.99, by the rejection-free method of Gray and others
/// ("Quickly generating billion-record synthetic databases", SIGMOD 1994), as YCSB does.
class Zipf {
 public:
  explicit Zipf(std::size_t count);
  std::size_t operator()(std::mt19937_64& random) const;

 private:
  double count_, zeta_, alpha_, eta_;
};

class Workload {
 public:
  Workload(Pattern pattern, std::size_t pages, std::size_t writes, std::uint64_t seed);

  /// The pages to write in the next cycle, in order. Valid until the next call.
  std::span<const Page> next();
  /// Distinct pages among those of the last next().
  std::size_t distinct() const noexcept { return distinct_; }

 private:
  void fill_zipf();

  Pattern pattern_;
  std::size_t pages_;
  std::mt19937_64 random_;
  Permutation scatter_;
  static constexpr std::size_t hot_share = 4;
  Zipf zipf_;
  std::vector<Page> list_;
  std::vector<std::uint32_t> last_seen_;  // by page: the cycle that wrote it last
  std::uint32_t cycle_ = 0;
  std::size_t distinct_ = 0;
};

}  // namespace bench

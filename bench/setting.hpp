// What is measured, in words a report can print: experiment, sizes, pattern. Knows nothing of how.
#pragma once

#include <compare>
#include <cstddef>
#include <string>

namespace bench {

enum class Experiment {
  cycle,         ///< drop the oldest snapshot, take one, write
  what_if,       ///< copies of each version, which write a tenth as many pages and go
  rollback,      ///< write, then put the old content back
  map,           ///< a snapshot of an ordered map, updates, reads of the old
  books,         ///< bytes of bookkeeping a page
  fault_pieces,  ///< the pieces a fault is made of
};

/// Which pages a cycle writes.
enum class Pattern {
  sequential,  ///< one run of neighbours, elsewhere each time
  uniform,     ///< distinct pages, equally likely, in random order
  zipf,        ///< draws with exponent 0.99 over scattered pages: the same few come again and again
  hot,         ///< distinct pages of a set of four times as many, the same set each time
  runs,        ///< runs of four neighbours at scattered places, the same each time
};

struct Setting {
  Experiment experiment = Experiment::cycle;
  std::size_t bytes = std::size_t{1} << 30;  ///< size of the heap
  std::size_t writes = 0;                    ///< in each cycle
  Pattern pattern = Pattern::uniform;
  unsigned threads = 1;                      ///< that share the writes
  unsigned alive = 1;                        ///< snapshots (or clones, or views) alive during the writes

  friend auto operator<=>(const Setting&, const Setting&) = default;
};

inline constexpr std::size_t kib = 1024, mib = kib * 1024, gib = mib * 1024;

std::string text(Pattern pattern);
/// What tells settings of one heap apart: "1,000 uniform, 4 threads".
std::string workload_text(const Setting& setting);
/// "1 GiB", "64 MiB".
std::string size_text(std::size_t bytes);
/// "10,000".
std::string count_text(std::size_t count);
/// "850 ns", "12.3 us", "4.56 ms": three digits, a unit that fits; "-" for NaN.
std::string time_text(double ns);

}  // namespace bench

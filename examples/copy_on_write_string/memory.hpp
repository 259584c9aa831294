// How much memory the process has, as the kernel counts it.
#pragma once

#include <cow/stats.hpp>

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

#include "shared_string.hpp"

namespace copy_on_write_string {

/// Memory that is the process's own and no file's: its heap, stacks and books. Exact, unlike the counters in
/// /proc/self/status, which the kernel may bring up to date later (proc(5)).
inline std::uint64_t anonymous_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  while (file >> word) {
    std::uint64_t kib = 0;
    if (word == "Anonymous:" && file >> kib) return kib * 1024;
  }
  throw std::runtime_error("cannot read how much memory is in use from /proc/self/smaps_rollup");
}

/// Memory in the file that a string shares with its copies.
inline std::uint64_t file_bytes(const SharedString& string) { return string.stats().file_bytes; }
inline std::uint64_t file_bytes(const std::string&) { return 0; }

}  // namespace copy_on_write_string

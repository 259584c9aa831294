// Settings and numbers as text.
#include "setting.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace bench {
namespace {

std::string formatted(const char* format, double value) {
  std::array<char, 64> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), format, value);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

}  // namespace

std::string text(Pattern pattern) {
  switch (pattern) {
    case Pattern::sequential: return "sequential";
    case Pattern::uniform: return "uniform";
    case Pattern::zipf: return "zipf";
    case Pattern::hot: return "hot";
    case Pattern::runs: return "runs of 4";
  }
  return "?";
}

std::string workload_text(const Setting& setting) {
  if (setting.experiment == Experiment::fault_pieces) return {};
  std::string result = count_text(setting.writes) + " " + text(setting.pattern);
  if (setting.threads > 1) result += ", " + count_text(setting.threads) + " threads";
  if (setting.alive > 1) result += ", " + count_text(setting.alive) + " alive";
  return result;
}

std::string size_text(std::size_t bytes) {
  if (bytes >= gib && bytes % gib == 0) return std::to_string(bytes / gib) + " GiB";
  if (bytes >= mib) return std::to_string(bytes / mib) + " MiB";
  return std::to_string(bytes / kib) + " KiB";
}

std::string count_text(std::size_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string time_text(double ns) {
  if (std::isnan(ns)) return "-";
  double value = ns;
  const char* unit = " ns";
  for (const char* larger : {" us", " ms", " s"}) {
    if (std::abs(value) < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  return formatted(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value) + unit;
}

}  // namespace bench

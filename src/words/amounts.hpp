// Amounts as people read them. Outside the signal handler only.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace cow {

/// 4 digits or fewer and a unit: "950 B", "4.0 KiB", "1.2 GiB".
inline std::string readable_bytes(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double amount = static_cast<double>(bytes);
  int unit = 0;
  // From 1023.5 on it would be printed as 1024 of a unit.
  while (amount >= (unit == 0 ? 1024 : 1023.5) && unit < 6) amount /= 1024, ++unit;
  char text[32];
  (void)std::snprintf(text, sizeof text, unit == 0 || amount >= 100 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
  return text;
}

inline std::string in_hex(const void* address) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%p", address);
  return text;
}

/// "1 page", "2 pages".
inline std::string counted(std::uint64_t n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

inline std::string readable_ns(double ns) {
  char text[32];
  const char* const format = ns < 1e3 ? "%.0f ns" : ns < 1e6 ? "%.1f us" : ns < 1e9 ? "%.1f ms" : "%.1f s";
  (void)std::snprintf(text, sizeof text, format, ns < 1e3 ? ns : ns < 1e6 ? ns / 1e3 : ns < 1e9 ? ns / 1e6 : ns / 1e9);
  return text;
}

}  // namespace cow

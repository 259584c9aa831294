// Prints answers: the table, the lists of what goes, and the proof that nothing else changed.
#pragma once

#include <cow/units.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "../support/amounts.hpp"
#include "graph.hpp"
#include "world.hpp"

namespace what_if {

using examples::counted;
using examples::grouped;

/// A size in the largest unit that leaves a figure before the point.
inline std::string human_size(std::uint64_t kib) {
  static constexpr std::array<const char*, 4> units{"KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(kib);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < units.size(); ++unit) size /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
  return text.data();
}

inline std::uint64_t pages_in(std::size_t bytes) noexcept { return (bytes + cow::page_size() - 1) / cow::page_size(); }

/// A row of the table: of one world, or of several together.
struct Totals {
  std::size_t packages = 0;
  std::uint64_t freed_kib = 0, shared = 0, copied = 0, faults = 0;
  double clone_us = 0, removal_us = 0;

  void add(const World& world) noexcept {
    packages += world.removal.packages;
    freed_kib += world.removal.freed_kib;
    shared += world.cost.pages_borrowed;
    copied += pages_copied(world.cost);
    faults += world.cost.faults();
    clone_us += world.clone_us;
    removal_us += world.removal_us;
  }
};

namespace detail {

inline void print_row(std::string_view what, const Totals& row) {
  std::printf("%-26.*s %7s %10s %9.1f %10.1f %8s %8s %8s\n", static_cast<int>(what.size()), what.data(),
              grouped(row.packages).c_str(), human_size(row.freed_kib).c_str(), row.clone_us, row.removal_us,
              grouped(row.shared).c_str(), grouped(row.copied).c_str(), grouped(row.faults).c_str());
}

}  // namespace detail

inline void print_table(std::span<const World> worlds, std::size_t used_bytes) {
  std::printf("\n%-26s %7s %10s %9s %10s %8s %8s %8s\n", "", "", "", "clone", "removal", "pages", "pages", "");
  std::printf("%-26s %7s %10s %9s %10s %8s %8s %8s\n", "removed", "go", "freed", "us", "us", "shared", "copied",
              "faults");
  Totals totals;
  for (const World& world : worlds) {
    Totals row;
    row.add(world);
    detail::print_row(world.removed, row);
    totals.add(world);
  }
  detail::print_row("total", totals);
  const std::uint64_t full = worlds.size() * pages_in(used_bytes);
  std::printf("\nFull copies would have taken %s; the clones, all alive at once, copied %s (%.1f %%).\n",
              counted(full, "page", "pages").c_str(), grouped(totals.copied).c_str(),
              100.0 * static_cast<double>(totals.copied) / static_cast<double>(full));
}

/// Each package that goes from a world, and what it needed and lost.
inline void print_gone(World& world) {
  const Graph& graph = world.graph();
  std::printf("\nwithout %s:\n", world.removed.c_str());
  for (const Fate& fate : graph.gone) {
    const Package& package = *fate.package;
    const std::string why = fate.lost ? "needs " + std::string(fate.lost->text.view()) : "asked for";
    std::printf("  %-36s %10s  %s\n", full_name(graph, package).c_str(), human_size(package.installed_kib).c_str(),
                why.c_str());
  }
}

inline void print_gone_names(World& world) {
  const Graph& graph = world.graph();
  for (const Fate& fate : graph.gone) std::printf("%s\n", full_name(graph, *fate.package).c_str());
}

}  // namespace what_if

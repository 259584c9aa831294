// Finds the package that someone may have meant. For messages only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph.hpp"

namespace what_if {

/// How many letters must be put in, left out or replaced to get from one word to the other.
inline std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

/// At most three packages whose names are like this one: a few letters off, or with it as a part. Nearest first.
inline std::vector<std::string> near_names(const Graph& graph, std::string_view name) {
  constexpr std::size_t most = 3;
  const std::size_t reach = name.size() / 3;
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const Package& package : graph.packages) {
    const std::string_view candidate = package.name.view();
    const std::size_t distance = edit_distance(name, candidate);
    const bool is_part = name.size() > 2 && candidate.find(name) != candidate.npos;
    if (distance <= reach || is_part) near.emplace_back(distance, candidate);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  near.resize(std::min(near.size(), most));
  std::vector<std::string> names;
  for (const auto& candidate : near) names.emplace_back(candidate.second);
  return names;
}

}  // namespace what_if

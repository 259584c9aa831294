// What-ifs in clones: one clone of the database for each question, all alive at once, answered by parallel threads.
// Measures what each clone costs, and proves that the original was left alone.
#pragma once

#include <cow/arena.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../support/measure.hpp"
#include "arena_memory.hpp"
#include "graph.hpp"
#include "removal.hpp"

namespace what_if {

using examples::pages_copied;

/// A clone in which one package was removed, and what that took.
struct World {
  std::string removed;
  Removal removal;
  double clone_us = 0;
  double removal_us = 0;        ///< finding and marking what goes, faults included
  cow::ArenaStats cost;         ///< of the clone, after the removal
  std::optional<cow::Arena> arena;

  /// The changed graph, at the clone's address. Changing nothing, it costs nothing.
  const Graph& graph() { return *ArenaMemory::attach(*arena).root<Graph>(); }
};

namespace detail {

/// Lets threads take the numbers from 0 to count - 1, each once, and passes on the first exception.
template <class Work>
void in_parallel(std::size_t count, std::size_t threads, const Work& work) {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto worker = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::scoped_lock lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> running;
    for (std::size_t i = 0; i < std::min(count, threads); ++i) running.emplace_back(worker);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace detail

/// Answers one question: clones `base`, removes the package there, and keeps the clone.
/// The package must be one of the base's.
inline World removed_in_clone(const cow::Snapshot& base, std::string_view name) {
  World world;
  world.removed = name;

  world.clone_us = examples::microseconds_of([&] { world.arena = base.clone(); });
  world.removal_us = examples::microseconds_of([&] {
    // From here on this is the same code that would run on the original: the clone is ordinary memory.
    Graph& graph = *ArenaMemory::attach(*world.arena).root<Graph>();
    world.removal = remove_package(graph, *find_package(graph, name));
  });
  world.cost = world.arena->stats();
  return world;
}

/// One world for each name, in the order of the names.
inline std::vector<World> removed_in_clones(const cow::Snapshot& base, std::span<const std::string> names,
                                            std::size_t threads) {
  std::vector<World> worlds(names.size());
  detail::in_parallel(names.size(), threads, [&](std::size_t i) { worlds[i] = removed_in_clone(base, names[i]); });
  return worlds;
}

/// A number that changes when any of the bytes changes: FNV-1a over words of eight, the last one filled up with zeros.
inline std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  std::uint64_t sum = 0xcbf2'9ce4'8422'2325;
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), taken);
    sum = (sum ^ word) * 0x100'0000'01b3;
    bytes = bytes.subspan(taken);
  }
  return sum;
}

/// The `count` packages on which most others lean, most first; of equals the one that comes first in the file.
inline std::vector<std::string> most_leaned_on(const Graph& graph, std::size_t count) {
  std::vector<std::pair<std::size_t, const Package*>> ranks;
  for (const Package& package : graph.packages) ranks.emplace_back(count_leaning_on(package), &package);
  std::stable_sort(ranks.begin(), ranks.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  ranks.resize(std::min(ranks.size(), count));
  std::vector<std::string> names;
  for (const auto& rank : ranks) names.push_back(full_name(graph, *rank.second));
  return names;
}

}  // namespace what_if

// The question itself: what has to go when one package goes? Marks the answer in the graph's own memory, which is
// meant to be a clone's: the original is the only thing that can be asked again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "graph.hpp"

namespace what_if {

struct Removal {
  std::size_t packages = 0;    ///< that go, the one asked for included
  std::uint64_t freed_kib = 0; ///< the sum of their Installed-Size
};

namespace detail {

inline void mark_gone(Graph& graph, Fate& fate, Clause* lost) noexcept {
  fate.gone = true;
  fate.lost = lost;
  graph.gone.push_back(fate);
}

}  // namespace detail

/// Removes `package` and all that cannot stay without it: every package with a clause whose last holder goes.
/// Each holder that goes is counted off its clauses once, so the cost grows with the answer, not with the graph.
/// Expects a graph from which nothing was removed yet. Afterwards `graph.gone` lists what went, in order.
inline Removal remove_package(Graph& graph, Package& package) noexcept {
  Removal removal;
  detail::mark_gone(graph, *package.fate, nullptr);
  // The list is its own queue: packages are put at its end while it is walked.
  for (const Fate& going : graph.gone) {
    ++removal.packages;
    removal.freed_kib += going.package->installed_kib;
    for (const Support& support : going.package->supports) {
      Clause& clause = *support.clause;
      Fate& owner = *clause.owner->fate;
      // What is gone needs nothing any more: not counting there leaves its page shared with the original.
      if (owner.gone) continue;
      if (--*clause.holders == 0) detail::mark_gone(graph, owner, &clause);
    }
  }
  return removal;
}

}  // namespace what_if

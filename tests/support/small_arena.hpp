// An arena for tests that are about something else, and whether it works.
#pragma once

#include "cow/cow.hpp"
#include "support/pages.hpp"

namespace cow::test {

/// Sixteen pages, written once.
inline Arena small_arena() {
  ArenaOptions options;
  options.capacity = 16 * page_size();
  Arena arena(options);
  fill_run(arena, 0, 16, 1);
  return arena;
}

inline bool arena_works(Arena& arena) {
  fill(arena, 3, 1);
  const Snapshot snapshot = arena.snapshot();
  fill(arena, 3, 2);
  return mark_of(arena, 3) == 2 && mark_of(snapshot, 3) == 1;
}

}  // namespace cow::test

// The soak: minutes of mixed threads, snapshots, clones, rollbacks and forks; at the end nothing may be left of them.
// COW_SOAK_SECONDS: how long (300); COW_SEED: what the actors choose, though not when the threads meet.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <malloc.h>

#include "cow/cow.hpp"
#include "soak/actors.hpp"
#include "soak/pattern.hpp"
#include "support/environment.hpp"
#include "support/process.hpp"

namespace cow::soak {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Footprint {
  std::size_t mappings, descriptors;
  std::uint64_t file_bytes, resident;
};

Footprint footprint() {
  ::malloc_trim(0);
  return {test::mapping_count(), test::descriptor_count(), test::memory_file_bytes(), test::resident_bytes()};
}

void print(const char* what, const Footprint& now) {
  std::printf("%s: %zu mappings, %zu descriptors, %.1f MiB in memory files, %.1f MiB resident\n", what, now.mappings,
              now.descriptors, static_cast<double>(now.file_bytes) / 0x1p20,
              static_cast<double>(now.resident) / 0x1p20);
}

std::vector<Arena> make_arenas() {
  std::vector<Arena> arenas;
  for (const Barrier barrier : {Barrier::mprotect, Barrier::automatic}) {
    ArenaOptions options;
    options.capacity = (pages + spare_pages) * page_size();
    options.barrier = barrier;
    options.name = "soak";
    arenas.emplace_back(options);
  }
  return arenas;
}

/// Versions kept for fork() children go one by one, with later operations.
void let_children_go(Arena& arena) {
  for (int i = 0; i < 100; ++i) {
    arena.prepare_write(arena.data(), 1);
    const Snapshot passing = arena.snapshot();
  }
}

void expect_only_its_own_frames(Arena& arena) {
  let_children_go(arena);
  const ArenaStats stats = arena.stats();
  require(stats.history_frames_used == 0, "history frames are left over");
  require(stats.file_frames_used <= pages + spare_pages, "frames are left over");
}

void print_progress(double seconds, const Tally& tally) {
  std::printf(
      "%6.1f s: %.1f M writes, %lu snapshots, %lu views, %lu reads, %lu clones, %lu rollbacks, %lu forks, %lu calls; "
      "%zu mappings, %zu descriptors, %.0f MiB\n",
      seconds, static_cast<double>(tally.writes) / 1e6, static_cast<unsigned long>(tally.snapshots),
      static_cast<unsigned long>(tally.views), static_cast<unsigned long>(tally.reads),
      static_cast<unsigned long>(tally.clones), static_cast<unsigned long>(tally.rollbacks),
      static_cast<unsigned long>(tally.forks), static_cast<unsigned long>(tally.calls), test::mapping_count(),
      test::descriptor_count(), static_cast<double>(test::resident_bytes()) / 0x1p20);
  std::fflush(stdout);
}

void run_rounds(double seconds, std::uint64_t seed, bool aloud) {
  constexpr double longest_round = 4;
  const Clock::time_point start = Clock::now();
  std::vector<Arena> arenas = make_arenas();
  Tally tally;
  for (std::uint64_t number = 0; number < arenas.size() || seconds_since(start) < seconds; ++number) {
    Arena& arena = arenas[number % arenas.size()];
    const double left = seconds - seconds_since(start);
    const double share = number < arenas.size() ? left / static_cast<double>(arenas.size() - number) : left;
    Round round(arena, tally, seed + number * 100);
    round.run(std::clamp(share, 0.2, longest_round));
    expect_only_its_own_frames(arena);
    if (aloud) print_progress(seconds_since(start), tally);
  }
}

// What the C library keeps for itself, stacks of threads for instance, comes and goes a little.
constexpr std::size_t few_mappings = test::under_sanitizer ? 200 : 8;
constexpr std::uint64_t little_memory = 12 << 20;

void expect_back_at(const Footprint& start, const Footprint& end) {
  require(end.mappings <= start.mappings + few_mappings, "mappings are left over");
  require(end.descriptors == start.descriptors, "descriptors are left over");
  require(end.file_bytes == start.file_bytes, "memory files are left over");
  if (!test::under_sanitizer) require(end.resident <= start.resident + little_memory, "memory is left over");
}

int soak() {
  const double seconds = static_cast<double>(test::number_from_environment("COW_SOAK_SECONDS").value_or(300));
  const std::uint64_t seed =
      test::number_from_environment("COW_SEED").value_or(std::uint64_t(Clock::now().time_since_epoch().count()));
  std::printf("soak: %.0f seconds, COW_SEED=%lu\n", seconds, static_cast<unsigned long>(seed));
  ::mallopt(M_ARENA_MAX, 1);
  run_rounds(1, seed, false);  // everything has been used once
  const Footprint start = footprint();
  print("start", start);
  run_rounds(seconds, seed + 1, true);
  const Footprint end = footprint();
  print("end", end);
  expect_back_at(start, end);
  std::printf("soak: nothing is left over\n");
  return 0;
}

}  // namespace
}  // namespace cow::soak

int main() {
  try {
    return cow::soak::soak();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "soak: %s\n", error.what());
    return 1;
  }
}

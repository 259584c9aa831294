// The cost of the fault profile: the same scattered first writes without it, with each fault recorded, and with every
// 64th. Interleaved, and the median of the rounds, since other programs disturb all alike. Argument: the number of
// rounds.
#include <cow/cow.hpp>
#include <cow/fault_profile.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

constexpr std::size_t faults_in_round = 4'000;
// Of pages, in turn: what is written in each interval would be copied ahead, without faults.
constexpr std::size_t sets = 4;
constexpr std::size_t stride = 2 * sets;
constexpr std::size_t callers = 20;  // functions between main() and the write, as in a program of some size

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Scattered, and no two neighbours: no block grows, and each write is a fault.
__attribute__((noinline)) void write_all(const cow::Arena& arena, std::size_t set) {
  for (std::size_t i = 0; i < faults_in_round; ++i) {
    const std::size_t page = i * 7919 % faults_in_round * stride + 2 * set;
    arena.data()[page * cow::page_size()] = std::byte{1};
  }
}

__attribute__((noinline)) std::size_t write_below(const cow::Arena& arena, std::size_t set, std::size_t depth) {
  if (depth == 0) {
    write_all(arena, set);
    return 0;
  }
  return write_below(arena, set, depth - 1) + 1;  // not the last thing it does: each call keeps its frame
}

/// Microseconds for each fault.
double next_round(cow::Arena& arena) {
  static std::size_t set = 0;
  set = (set + 1) % sets;
  const cow::Snapshot snapshot = arena.snapshot();
  const cow::ArenaStats before = arena.stats();
  const double start = thread_seconds();
  (void)write_below(arena, set, callers);
  const double seconds = thread_seconds() - start;
  const std::uint64_t faults = arena.stats().since(before).handler_time.count();
  return seconds * 1e6 / static_cast<double>(faults);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 31;
  // The barrier at which a fault costs least, so that the profile's part is largest, and the default one.
  for (const cow::Barrier barrier : {cow::Barrier::automatic, cow::Barrier::mprotect}) {
    cow::Arena arena({.capacity = stride * faults_in_round * cow::page_size(), .barrier = barrier});
    arena.prepare_write(arena.data(), arena.capacity());
    std::vector<double> without, each, some;
    for (std::size_t i = 0; i < std::max<std::size_t>(rounds, 1); ++i) {
      without.push_back(next_round(arena));
      cow::start_fault_profile({.every = 1});
      each.push_back(next_round(arena));
      cow::start_fault_profile({.every = 64});
      some.push_back(next_round(arena));
      cow::stop_fault_profile();
    }
    const double base = median(without);
    std::printf("%-12s a fault takes %5.2f us; with each recorded %+5.2f us; with every 64th %+5.2f us, %+4.1f %%\n",
                arena.barrier() == cow::Barrier::userfaultfd ? "userfaultfd" : "mprotect", base, median(each) - base,
                median(some) - base, (median(some) / base - 1) * 100);
  }
}

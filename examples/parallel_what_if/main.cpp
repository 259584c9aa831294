// A what-if that is kept. First each of some clones tries a future of its own, in a thread of its own, and the best is
// adopted. Then each of them does a part of the work from there, and the parts are merged. Both results are compared,
// bit by bit, with those of a serial run in plain memory.
#include <cow/cow.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../support/amounts.hpp"
#include "../support/command_line.hpp"
#include "../support/measure.hpp"
#include "ensemble.hpp"

namespace parallel_what_if {
namespace {

constexpr const char* usage =
    "usage: parallel_what_if [--systems N] [--steps N] [--observations N] [--clones N]\n"
    "Tries futures of an ensemble of weather models in clones, keeps the best, and works on in parts.\n";

struct Options {
  std::size_t systems = 50'000, steps = 100, observations = 4'000'000, clones = 4;
};

Options read_options(std::span<const char* const> arguments) {
  Options options;
  for (examples::Arguments left(arguments); !left.empty();) {
    const std::string_view option = left.next();
    if (option == "--systems") {
      options.systems = left.number_after(option, 1, 10'000'000);
    } else if (option == "--steps") {
      options.steps = left.number_after(option, 1, 100'000);
    } else if (option == "--observations") {
      options.observations = left.number_after(option, 1, 100'000'000);
    } else if (option == "--clones") {
      options.clones = left.number_after(option, 1, 64);
    } else {
      examples::refuse("unknown option", option);
    }
  }
  return options;
}

void row(const char* what, double us) { std::printf("%-58s %10.2f ms\n", what, us / 1000); }

/// Calls f(clone, number) for clones of one version, each in a thread of its own; gives a snapshot of each.
template <class F>
std::vector<cow::Snapshot> in_clones(const cow::Snapshot& base, std::size_t count, const F& f) {
  std::vector<cow::Arena> clones;
  row("clones, all", examples::microseconds_of([&] {
    for (std::size_t i = 0; i < count; ++i) clones.push_back(base.clone());
  }));
  std::vector<std::thread> threads;
  row("their work, in threads", examples::microseconds_of([&] {
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&, i] { f(Ensemble(clones[i].data()), i); });
    for (std::thread& thread : threads) thread.join();
  }));
  std::vector<cow::Snapshot> results;
  row("snapshots of them, all", examples::microseconds_of([&] {
    for (cow::Arena& clone : clones) results.push_back(clone.snapshot());
  }));
  return results;
}

double heating_of(std::size_t future) { return 24.0 + 1.5 * static_cast<double>(future); }

Part part_of(std::size_t number, const Options& options) {
  return {number * options.systems / options.clones, (number + 1) * options.systems / options.clones};
}

void require_equal(const cow::Arena& arena, const std::vector<std::byte>& serial, const char* what) {
  if (std::memcmp(arena.data(), serial.data(), serial.size()) != 0) throw std::logic_error(what);
}

/// Each clone a future; the best becomes the arena's.
std::size_t keep_the_best(cow::Arena& arena, const Options& options) {
  std::vector<double> scores(options.clones);
  const cow::Snapshot base = arena.snapshot();
  const std::vector<cow::Snapshot> futures = in_clones(base, options.clones, [&](Ensemble ensemble, std::size_t i) {
    ensemble.set_heating(heating_of(i));
    ensemble.integrate(ensemble.all(), options.steps);
    scores[i] = ensemble.distance();
  });
  const auto best = static_cast<std::size_t>(std::min_element(scores.begin(), scores.end()) - scores.begin());
  std::size_t pages = 0;
  row("changed_between, base and best", examples::microseconds_of([&] {
    for (const cow::PageRange& range : cow::changed_between(base, futures[best])) pages += range.count;
  }));
  row("adopt the best", examples::microseconds_of([&] { arena.adopt(futures[best]); }));
  std::printf("    future %zu of %zu is best, %.3f from what was observed; %s differed\n", best + 1, options.clones,
              scores[best], examples::counted(pages, "page", "pages").c_str());
  return best;
}

/// Each clone a part; all of them are put together in the arena.
void work_in_parts(cow::Arena& arena, const Options& options) {
  const cow::Snapshot base = arena.snapshot();
  const std::vector<cow::Snapshot> parts = in_clones(base, options.clones, [&](Ensemble ensemble, std::size_t i) {
    ensemble.integrate(part_of(i, options), options.steps);
  });
  std::uint64_t taken = 0, merged = 0;
  row("merge, all parts", examples::microseconds_of([&] {
    for (const cow::Snapshot& part : parts) {
      const cow::MergeReport report = cow::merge(arena, base, part);
      if (!report.conflicts.empty()) throw std::logic_error("parts that do not meet are in conflict");
      taken += report.pages_taken, merged += report.pages_merged;
    }
  }));
  std::printf("    %s taken whole, %s put together of two parts\n", examples::counted(taken, "page", "pages").c_str(),
              examples::counted(merged, "page", "pages").c_str());
}

int run(const Options& options) {
  const std::size_t bytes = Ensemble::bytes_for(options.systems, options.observations);
  cow::Arena arena({.capacity = bytes, .barrier = cow::Barrier::automatic});
  Ensemble(arena.data()).begin(options.systems, options.observations);
  std::printf("%s in %.1f MiB, most of them observations\n\n",
              examples::counted(options.systems, "system", "systems").c_str(), static_cast<double>(bytes) / 1048576);
  std::vector<std::byte> serial(bytes);
  const double copy = examples::microseconds_of([&] { std::memcpy(serial.data(), arena.data(), bytes); });

  std::puts("the best of some futures");
  const std::size_t best = keep_the_best(arena, options);
  std::puts("\nthe work in parts");
  work_in_parts(arena, options);

  std::puts("\nthe same without the library");
  Ensemble alone(serial.data());
  alone.set_heating(heating_of(best));
  row("serial: the best future and the work after it", examples::microseconds_of([&] {
    alone.integrate(alone.all(), options.steps);
    alone.integrate(alone.all(), options.steps);
  }));
  row("one copy of everything; as many as clones, twice, are needed", copy);
  require_equal(arena, serial, "the kept what-if differs from the serial run");
  std::puts("\nbit-equal to the serial run");
  return examples::done;
}

}  // namespace
}  // namespace parallel_what_if

int main(int argc, char** argv) {
  return examples::run_program("parallel_what_if", parallel_what_if::usage, argc, argv, [](auto arguments) {
    return parallel_what_if::run(parallel_what_if::read_options(arguments));
  });
}

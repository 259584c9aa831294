// Consistent views of an ordered index in an arena, while a thread updates it without pause.
// See README.md beside this file for what it shows.
#include <cow/arena.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "../support/command_line.hpp"
#include "../support/measure.hpp"
#include "bank.hpp"
#include "run.hpp"

namespace {

using namespace snapshot_structure;
using namespace std::chrono_literals;
using examples::quantile;
using Clock = std::chrono::steady_clock;

constexpr const char* usage_text = R"(usage: snapshot_structure [OPTION]...

A bank's accounts lie in an ordered index in an arena. One thread moves money and opens and closes
accounts without pause; another takes snapshots, and audits a view of each.

  --seconds N     how long to run (default: 3); the first quarter without snapshots
  --accounts N    how many accounts there are at most, 10 to 1000000 (default: 5000)
  --no-gate       let snapshots fall within updates (transfers only), to see what the gate is for
  --help          print this

Exit status: 0 all views were consistent; 1 some were not, or it could not run; 2 wrong usage.
)";

struct Options {
  std::size_t seconds = 3;
  std::size_t accounts = 5'000;
  GateUse gate = GateUse::closed;
};

Options parse_options(std::span<const char* const> given) {
  Options options;
  for (examples::Arguments arguments(given); !arguments.empty();) {
    const std::string_view argument = arguments.next();
    if (argument == "--seconds") options.seconds = arguments.number_after(argument, 1, 86'400);
    else if (argument == "--accounts") options.accounts = arguments.number_after(argument, 10, 1'000'000);
    else if (argument == "--no-gate") options.gate = GateUse::left_open;
    else examples::refuse("no such option", argument);
  }
  return options;
}

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

/// Prints progress until `end`; gives the updates per second of that time.
double watch(const Progress& progress, const char* phase, Clock::time_point start, Clock::time_point end) {
  const auto begun = Clock::now();
  const std::uint64_t before = progress.updates;
  while (Clock::now() < end) {
    std::this_thread::sleep_until(std::min(Clock::now() + 500ms, end));
    std::printf("%5.1f s  %-18s %11llu updates  %7llu views  %3llu violations\n", seconds(Clock::now() - start), phase,
                static_cast<unsigned long long>(progress.updates), static_cast<unsigned long long>(progress.views),
                static_cast<unsigned long long>(progress.violations));
    std::fflush(stdout);
  }
  return static_cast<double>(progress.updates - before) / seconds(Clock::now() - begun);
}

void print_table(const Run& run, const cow::ArenaStats& stats, double alone, double beside) {
  const Measured& measured = run.measured();
  const auto snapshots = static_cast<double>(measured.snapshot_us.size());
  const auto print = [](const char* what, const char* format, double value) {
    std::printf("%-44s ", what);
    std::printf(format, value);
    std::printf("\n");
  };
  std::printf("\n");
  print("snapshots taken", "%12.0f", snapshots);
  print("snapshot(), median, us", "%12.1f", quantile(measured.snapshot_us, 0.5));
  print("snapshot(), 99 % are faster than, us", "%12.1f", quantile(measured.snapshot_us, 0.99));
  print("wait for the update in progress, median, us", "%12.1f", quantile(measured.wait_us, 0.5));
  print("pages made writable between two, mean", "%12.1f",
        static_cast<double>(stats.pages_sole_owner + stats.pages_moved + stats.pages_to_history) /
            std::max(1.0, snapshots));
  print("updates a second without snapshots", "%12.0f", alone);
  print("updates a second with snapshots", "%12.0f", beside);
  print("views audited", "%12.0f", static_cast<double>(run.progress().views));
  print("violations", "%12.0f", static_cast<double>(run.progress().violations));
}

/// A thread whose exception is not lost.
class Worker {
 public:
  template <class Work>
  explicit Worker(Work work)
      : thread_([this, work](std::stop_token stop) {
          try {
            work(stop);
          } catch (...) {
            failure_ = std::current_exception();
          }
        }) {}

  /// Stops the thread; throws what it threw.
  void finish() {
    thread_.request_stop();
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it uses the rest
};

int run_bank(std::span<const char* const> arguments) {
  const Options options = parse_options(arguments);
  cow::ArenaOptions arena_options;
  arena_options.name = "bank";
  arena_options.capacity = Bank::bytes_for(options.accounts);
  cow::Arena arena(arena_options);
  std::printf("Setting up a bank for %zu accounts\n", options.accounts);
  std::fflush(stdout);
  Bank& bank = Bank::found(arena, options.accounts, 1);
  Run run(arena, bank, options.gate);

  const auto start = Clock::now();
  const auto end = start + std::chrono::seconds(options.seconds);
  Worker updater([&](std::stop_token stop) { run.update(stop); });
  const double alone = watch(run.progress(), "without snapshots", start, start + (end - start) / 4);
  Worker taker([&](std::stop_token stop) { run.take_snapshots(stop); });
  const double beside = watch(run.progress(), "with snapshots", start, end);
  taker.finish();
  updater.finish();

  print_table(run, arena.stats(), alone, beside);
  return run.progress().violations == 0 && run.progress().views != 0 ? examples::done : examples::failed;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("snapshot_structure", usage_text, argc, argv, run_bank);
}

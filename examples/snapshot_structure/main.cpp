// Consistent views of an ordered index in an arena, while a thread updates it without pause.
// See README.md beside this file for what it shows.
#include <cow/arena.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bank.hpp"
#include "run.hpp"

namespace {

using namespace snapshot_structure;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* usage_text = R"(usage: snapshot_structure [OPTION]...

A bank's accounts lie in an ordered index in an arena. One thread moves money and opens and closes
accounts without pause; another takes snapshots, and audits a view of each.

  --seconds N     how long to run (default: 3); the first quarter without snapshots
  --accounts N    how many accounts there are at most (default: 5000)
  --no-gate       let snapshots fall within updates (transfers only), to see what the gate is for
  --help          print this

Exit status: 0 all views were consistent; 1 some were not, or it could not run; 2 wrong usage.
)";

enum ExitStatus { consistent = 0, failed = 1, wrong_usage = 2 };

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  std::size_t seconds = 3;
  std::size_t accounts = 5'000;
  GateUse gate = GateUse::closed;
  bool help = false;
};

Options parse_options(std::span<const char* const> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const auto number = [&](std::size_t least, std::size_t most) {
      const std::string_view text = i + 1 < arguments.size() ? arguments[++i] : "";
      std::size_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc{} && end == text.data() + text.size() && value >= least && value <= most) return value;
      throw UsageError(std::string(argument) + " takes a number from " + std::to_string(least) + " to " +
                       std::to_string(most) + ", not '" + std::string(text) + "'");
    };
    if (argument == "--seconds") options.seconds = number(1, 86'400);
    else if (argument == "--accounts") options.accounts = number(10, 100'000'000);
    else if (argument == "--no-gate") options.gate = GateUse::left_open;
    else if (argument == "--help") options.help = true;
    else throw UsageError("no such option: '" + std::string(argument) + "'");
  }
  return options;
}

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

/// The value below which this part of all values lies.
double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

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

ExitStatus run_for(const Options& options) {
  cow::ArenaOptions arena_options;
  arena_options.name = "bank";
  arena_options.capacity = Bank::bytes_for(options.accounts);
  cow::Arena arena(arena_options);
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
  return run.progress().violations == 0 && run.progress().views != 0 ? consistent : failed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse_options({argv + 1, static_cast<std::size_t>(argc - 1)});
    if (options.help) {
      std::fputs(usage_text, stdout);
      return consistent;
    }
    return run_for(options);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "snapshot_structure: %s\nTry snapshot_structure --help\n", error.what());
    return wrong_usage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "snapshot_structure: %s\n", error.what());
    return failed;
  }
}

// The benchmark program: options, then plan, run, report.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string_view>
#include <thread>

#include "figures.hpp"
#include "plan.hpp"
#include "report.hpp"
#include "runner.hpp"

namespace {

struct Options {
  bench::Mode mode = bench::Mode::quick;
  std::filesystem::path folder = COW_BENCH_RESULTS;
  std::string only;
  std::uint64_t seed = std::random_device{}();
};

constexpr const char* usage =
    "cow_bench [--smoke | --quick | --figures | --full] [--only WORDS] [--out FOLDER] [--seed NUMBER]\n"
    "  --smoke    seconds: every competitor at toy sizes, its answers checked\n"
    "  --quick    under a minute (the default)\n"
    "  --figures  minutes: the bars, at their sizes\n"
    "  --full     every axis; most of an hour\n"
    "  --only     just the stages whose title contains these words\n"
    "  --out      where the CSV and the plots go\n";

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--smoke") options.mode = bench::Mode::smoke;
    else if (argument == "--quick") options.mode = bench::Mode::quick;
    else if (argument == "--figures") options.mode = bench::Mode::figures;
    else if (argument == "--full") options.mode = bench::Mode::full;
    else if (argument == "--only" && has_value) options.only = argv[++i];
    else if (argument == "--out" && has_value) options.folder = argv[++i];
    else if (argument == "--seed" && has_value) options.seed = std::strtoull(argv[++i], nullptr, 10);
    else return false;
  }
  return true;
}

/// Google Benchmark's own settings: what is registered together runs in random order.
void initialize_google_benchmark(char* program) {
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  char* arguments[] = {program, interleave.data(), nullptr};
  int count = 2;
  benchmark::Initialize(&count, arguments);
}

/// Others' work on the machine just before: at one a core and more, expect every figure to be too high.
double load() {
  double average = 0;
  ::getloadavg(&average, 1);
  return average;
}

/// Whether a process of a competitor outlives it: it would hold memory, and our output's pipe, for ever. As their
/// reaper we inherit whom a worker leaves; those that are just ending are given two seconds.
bool left_processes_behind() {
  for (int tries = 0; tries < 200; ++tries) {
    const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
    if (ended < 0) return false;
    if (ended == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::fputs("WRONG: a competitor's process outlived its worker\n", stderr);
  return true;
}

void report(const bench::Results& results, const Options& options, double load_before) {
  const bench::Machine machine = bench::this_machine();
  bench::print_stages(std::cout, results);
  bench::print_anatomy(std::cout, results);
  bench::print_figures(std::cout, bench::figures(results));
  std::filesystem::create_directories(options.folder);
  bench::write_csv(options.folder / "results.csv", results, machine);
  const unsigned plots = bench::draw_plots(options.folder, results, machine);
  std::cout << "Medians; a round is the median of its cycles. Seed " << options.seed << ".\n"
            << machine.text() << "\n"
            << "Load before the run: " << load_before << (load_before < 0.5 ? "\n" : "; the machine was not quiet\n")
            << "results.csv and " << plots << " plots in " << options.folder.string() << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fputs(usage, stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);  // a worker that died is seen when it is asked
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  initialize_google_benchmark(argv[0]);
  auto plan = bench::make_plan(options.mode);
  std::erase_if(plan, [&](const bench::Stage& stage) { return stage.title.find(options.only) == std::string::npos; });
  const double load_before = load();
  const bench::Results results = bench::run_plan(plan, options.seed);
  report(results, options, load_before);
  for (const bench::Row& row : results.rows()) {
    if (row.wrong) return 1;
  }
  return left_processes_behind() ? 1 : 0;
}

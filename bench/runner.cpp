// Stages, batches that fit into memory, and the glue to Google Benchmark.
#include "runner.hpp"

#include <benchmark/benchmark.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <span>

#include "catalogue.hpp"
#include "competitors/memory.hpp"
#include "worker.hpp"

namespace bench {
namespace {

constexpr double memory_share = 0.8;  // of what is available: the machine has others, and may have no swap

double available_bytes() {
  std::ifstream info("/proc/meminfo");
  std::string key, unit;
  double kilobytes = 0;
  while (info >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * kib;
    std::getline(info, unit);
  }
  return static_cast<double>(gib);
}

double bytes_needed(const Entry& entry) {
  return memory_factor(entry.competitor, entry.setting) * static_cast<double>(entry.setting.bytes);
}

double bytes_needed(const Stage& stage) {
  double sum = 0;
  for (const Entry& entry : stage.entries) sum += bytes_needed(entry);
  return sum;
}

/// A virtual machine's host backs memory when it is used for the first time since boot, which costs several times an
/// ordinary first touch and would fall on whoever comes first.
void touch_memory_once(double bytes) {
  const auto size = static_cast<std::size_t>(std::min(bytes, available_bytes() * memory_share)) / mib * mib;
  const pid_t child = ::fork();
  if (child == 0) {
    const Mapping memory = anonymous_memory(size);
    ::madvise(memory.data(), size, MADV_HUGEPAGE);
    for (std::size_t at = 0; at < size; at += 4 * kib) memory.data()[at] = std::byte{1};
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

/// Time so far, and a guess at the rest from the bytes that stages touch.
class Progress {
 public:
  explicit Progress(const std::vector<Stage>& plan) : stages_(plan.size()) {
    for (const Stage& stage : plan) total_ += weight(stage);
  }

  void begin(const Stage& stage) {
    elapsed_s_ += watch_.lap_ns() / 1e9;
    done_ += current_;
    current_ = weight(stage);
    std::printf("[%2zu/%zu] %s elapsed, %s left: %s\n", ++index_, stages_, clock(elapsed_s_).c_str(), rest().c_str(),
                stage.title.c_str());
    std::fflush(stdout);
  }

  static void result(const Row& row) {
    const std::string note = row.note.empty() ? "" : "  (" + row.note + ")";
    std::printf("        %-29s %-30s %9s%s\n", row.competitor.c_str(), workload_text(row.setting).c_str(),
                time_text(row.at(Part::total)).c_str(), note.c_str());
    std::fflush(stdout);
  }

 private:
  static double weight(const Stage& stage) {
    double result = 0;
    for (const Entry& entry : stage.entries) {
      result += static_cast<double>(64 * mib) + bytes_needed(entry) * (1 + 0.1 * stage.rounds);
    }
    return result;
  }

  static std::string clock(double seconds) {
    const auto whole = static_cast<unsigned>(seconds);
    const std::string rest = std::to_string(whole % 60);
    return std::to_string(whole / 60) + ":" + (rest.size() < 2 ? "0" : "") + rest;
  }

  std::string rest() const {
    if (done_ <= 0) return "unknown";
    return "about " + clock(elapsed_s_ * (total_ - done_) / done_);
  }

  Stopwatch watch_;
  std::size_t stages_, index_ = 0;
  double elapsed_s_ = 0, total_ = 0, done_ = 0, current_ = 0;
};

/// Takes what Google Benchmark reports of each round.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(std::vector<Row>& rows) : rows_(rows) {}

  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      Sample sample;
      for (std::size_t i = 0; i < part_count; ++i) {
        const auto counter = run.counters.find(std::string(part_names[i]));
        if (counter != run.counters.end()) sample[static_cast<Part>(i)] = counter->second.value;
      }
      rows_[static_cast<std::size_t>(run.family_index)].samples.push_back(sample);
    }
  }

 private:
  std::vector<Row>& rows_;
};

/// One round of a worker as one iteration, its total as the manual time, its parts as counters.
void run_round(benchmark::State& state, Worker& worker, unsigned cycles) {
  for (auto _ : state) {
    const auto sample = worker.round(cycles);
    if (!sample) {
      state.SkipWithError(worker.note().c_str());
      return;
    }
    const double total_ns = (*sample)[Part::total];
    state.SetIterationTime(std::isnan(total_ns) ? 0 : total_ns / 1e9);
    for (std::size_t i = 0; i < part_count; ++i) {
      const double value = (*sample)[static_cast<Part>(i)];
      if (!std::isnan(value)) state.counters[std::string(part_names[i])] = value;
    }
  }
}

/// Entries whose memory fits together, measured together.
std::vector<Row> run_batch(const Stage& stage, std::span<const Entry> entries, std::uint64_t seed) {
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<Row> rows;
  for (const Entry& entry : entries) {
    workers.push_back(std::make_unique<Worker>([=] { return make_trial(entry.competitor, entry.setting, seed); }));
    rows.push_back({stage.title, std::string(entry.competitor), entry.setting});
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto run = [worker = workers[i].get(), cycles = entries[i].cycles](benchmark::State& state) {
      run_round(state, *worker, cycles);
    };
    const std::string name = stage.title + "/" + rows[i].competitor + "/" + std::to_string(i);
    benchmark::RegisterBenchmark(name.c_str(), run)
        ->UseManualTime()
        ->Iterations(1)
        ->Repetitions(static_cast<int>(stage.rounds));
  }
  Collector collector(rows);
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  benchmark::ClearRegisteredBenchmarks();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].note = workers[i]->note();
    rows[i].wrong = workers[i]->wrong();
    if (workers[i]->alive() || rows[i].samples.empty()) continue;
    rows[i].note += ", after " + count_text(rows[i].samples.size()) + " of " + count_text(stage.rounds) + " rounds";
  }
  return rows;
}

/// Splits a stage into batches by memory, in order; what fits not even alone is left out, with a note.
std::vector<Row> run_stage(const Stage& stage, std::uint64_t seed) {
  const double budget = available_bytes() * memory_share;
  std::vector<Row> rows;
  for (std::size_t first = 0; first < stage.entries.size();) {
    double needed = bytes_needed(stage.entries[first]);
    if (needed > budget) {
      const Entry& entry = stage.entries[first++];
      const char* note = "needs more memory than there is";
      rows.push_back({stage.title, std::string(entry.competitor), entry.setting, {}, note});
      continue;
    }
    std::size_t end = first + 1;
    while (end < stage.entries.size() && needed + bytes_needed(stage.entries[end]) <= budget) {
      needed += bytes_needed(stage.entries[end++]);
    }
    for (Row& row : run_batch(stage, std::span(stage.entries).subspan(first, end - first), seed)) {
      rows.push_back(std::move(row));
    }
    first = end;
  }
  return rows;
}

}  // namespace

Results run_plan(const std::vector<Stage>& plan, std::uint64_t seed) {
  Results results;
  double most_bytes = 0;
  for (const Stage& stage : plan) most_bytes = std::max(most_bytes, bytes_needed(stage));
  std::printf("Touching memory once, so that no competitor is the first to use it\n");
  std::fflush(stdout);
  touch_memory_once(most_bytes * 1.2);
  Progress progress(plan);
  for (const Stage& stage : plan) {
    progress.begin(stage);
    for (Row& row : run_stage(stage, seed)) {
      Progress::result(row);
      results.add(std::move(row));
    }
  }
  return results;
}

}  // namespace bench

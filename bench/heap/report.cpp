// The tables at the end of a run.
#include "report.hpp"

#include <cstdio>

namespace cow::bench {

namespace {

/// Nanoseconds for each of the two operations of a replacement, or what the benchmark counted.
double figure_of(const benchmark::BenchmarkReporter::Run& run) {
  for (const char* const counter : {"pages", "ratio"}) {
    const auto found = run.counters.find(counter);
    if (found != run.counters.end()) return found->second;
  }
  return (run.run_name.threads.empty() ? run.GetAdjustedCPUTime() : run.GetAdjustedRealTime()) / 2;
}

struct Promise {
  const char* what;
  const char* measured;
  const char* against;  // nullptr: the figure itself is bounded
  double at_most;
};

constexpr Promise promises[] = {
    {"time against Boost.Interprocess, one thread", "mix/cow::Heap", "mix/Boost.Interprocess", 0.35},
    {"time against glibc malloc, one thread", "mix/cow::Heap", "mix/glibc malloc", 1.3},
    {"time against glibc malloc, four threads", "mix/cow::Heap/real_time/threads:4",
     "mix/glibc malloc/real_time/threads:4", 2},
    {"churn: time against glibc malloc, one thread", "churn/cow::Heap/real_time", "churn/glibc malloc/real_time", 2},
    {"churn: time against glibc malloc, four threads", "churn/cow::Heap/real_time/threads:4",
     "churn/glibc malloc/real_time/threads:4", 2},
    {"churn: resident bytes against live bytes", "resident after churn/cow::Heap/iterations:1", nullptr, 1.2},
    {"pages dirtied against Boost.Interprocess", "dirtied/cow::Heap/iterations:1",
     "dirtied/Boost.Interprocess/iterations:1", 0.25},
    {"resident bytes against live bytes", "resident/cow::Heap/iterations:1", nullptr, 1.2},
};

}  // namespace

void Report::ReportRuns(const std::vector<Run>& runs) {
  ConsoleReporter::ReportRuns(runs);
  for (const Run& run : runs) {
    const bool is_median = run.run_type == Run::RT_Aggregate && run.aggregate_name == "median";
    const bool is_single = run.run_type == Run::RT_Iteration && run.repetitions <= 1;
    if (is_median || is_single) medians_[run.run_name.str()] = figure_of(run);
  }
}

double Report::median(const std::string& name) const {
  const auto found = medians_.find(name);
  return found == medians_.end() ? 0 : found->second;
}

void print_figures(const Report& report, const std::vector<std::string>& heaps) {
  std::printf("\n%-20s %14s %14s %14s %14s %14s %14s\n", "medians", "ns, 1 thread", "ns, 4 threads", "churn, 1 thread",
              "churn, 4", "pages dirtied", "resident/live");
  for (const std::string& heap : heaps) {
    std::printf("%-20s", heap.c_str());
    const double ns1 = report.median("mix/" + heap);
    // Google Benchmark's time of four threads at once is for one operation of any of them.
    const double ns4 = report.median("mix/" + heap + "/real_time/threads:4");
    const double churn1 = report.median("churn/" + heap + "/real_time");
    const double churn4 = report.median("churn/" + heap + "/real_time/threads:4");
    for (const double ns : {ns1, ns4, churn1, churn4}) ns > 0 ? std::printf(" %14.1f", ns) : std::printf(" %14s", "-");
    std::printf(" %14.0f %14.2f\n", report.median("dirtied/" + heap + "/iterations:1"),
                report.median("resident/" + heap + "/iterations:1"));
  }
  const double kept = report.median("resident with snapshots/cow::Heap/iterations:1");
  if (kept > 0) std::printf("cow::Heap with a snapshot after every 10,000 replacements: resident/live %.2f\n", kept);
}

bool print_promises(const Report& report) {
  bool all_hold = true;
  std::printf("\n%-46s %8s %8s\n", "promise", "is", "at most");
  for (const Promise& promise : promises) {
    double value = report.median(promise.measured);
    if (promise.against != nullptr && report.median(promise.against) > 0) value /= report.median(promise.against);
    const bool holds = value > 0 && value <= promise.at_most;
    all_hold = all_hold && holds;
    std::printf("%-46s %8.2f %8.2f%s\n", promise.what, value, promise.at_most, holds ? "" : "   does not hold");
  }
  return all_hold;
}

}  // namespace cow::bench

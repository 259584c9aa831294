// Gathers the medians of a run and prints them as one table, against what the heap promises.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace cow::bench {

class Report : public benchmark::ConsoleReporter {
 public:
  Report() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override;

  /// The median of a benchmark, by the beginning of its name; 0 if it did not run.
  double median(const std::string& name) const;

 private:
  std::map<std::string, double> medians_;
};

/// Prints each heap's figures side by side.
void print_figures(const Report& report, const std::vector<std::string>& heaps);

/// Prints cow::Heap's figures against the bounds it is held to; false if one does not hold.
bool print_promises(const Report& report);

}  // namespace cow::bench

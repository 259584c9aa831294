// How the programs here run: repetitions in random order, medians, unless the command line says otherwise.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "report.hpp"

namespace cow::bench {

inline bool run(int argc, char** argv, Report& report) {
  std::vector<std::string> arguments{argv[0], "--benchmark_repetitions=7",
                                     "--benchmark_enable_random_interleaving=true",
                                     "--benchmark_report_aggregates_only=true", "--benchmark_min_time=0.3"};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return false;
  benchmark::RunSpecifiedBenchmarks(&report);
  benchmark::Shutdown();
  return true;
}

}  // namespace cow::bench

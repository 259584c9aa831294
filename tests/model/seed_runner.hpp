// Runs many seeds in processes of their own, so that a crash is a finding with a seed like any other.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "model/setting.hpp"

namespace cow::model {

struct Verdict {
  bool passed = false;
  std::string text;  // of a failure: the seed, what differed and the last operations
};

struct SeedRange {
  std::uint64_t first = 1;
  std::uint64_t count = 0;
};

/// Steps of each run.
inline constexpr std::size_t steps_of_a_run = 150;

/// One run here, with each operation told on standard error.
Verdict replay(std::uint64_t seed, const Setting& setting = {});

/// All seeds of the range, shared out between some processes; `mutant` is what they plant in the engine.
Verdict run_seeds(SeedRange seeds, const Setting& setting, std::size_t processes, std::chrono::seconds limit,
                  std::size_t mutant = 0);

}  // namespace cow::model

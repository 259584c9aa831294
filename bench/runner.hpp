// Runs a plan through Google Benchmark: each competitor in a worker, rounds in random order, progress as it goes.
#pragma once

#include <cstdint>
#include <vector>

#include "plan.hpp"
#include "results.hpp"

namespace bench {

/// Call benchmark::Initialize first. Progress goes to standard output, a line for each stage and competitor.
Results run_plan(const std::vector<Stage>& plan, std::uint64_t seed);

}  // namespace bench

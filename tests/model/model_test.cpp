// Promise: whatever is done in whatever order, content is that of plain bytes, and at the end no frame is left over.
// COW_SEED=n replays one run and tells each operation; COW_RUNS=n makes more or fewer (from COW_SEED on, if both).
#include <chrono>
#include <cstdint>

#include <gtest/gtest.h>

#include "model/seed_runner.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"

namespace cow::model {
namespace {

TEST(Model, random_operations_leave_what_plain_bytes_would_hold) {
  const auto seed = test::number_from_environment("COW_SEED");
  const auto runs = test::number_from_environment("COW_RUNS");
  if (seed && !runs) {
    const Verdict verdict = replay(*seed);
    EXPECT_TRUE(verdict.passed) << verdict.text;
    return;
  }
  const SeedRange seeds{seed.value_or(1), runs.value_or(test::under_tsan ? 200 : test::under_asan ? 600 : 3000)};
  const auto limit = std::chrono::seconds(60 + seeds.count);
  const Verdict verdict = run_seeds(seeds, 2, limit);
  EXPECT_TRUE(verdict.passed) << verdict.text;
}

}  // namespace
}  // namespace cow::model

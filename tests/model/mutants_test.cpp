// Promise: the model notices each named misreading of the rule when it is planted in the engine. Built only where
// the engine has them in it.
#include "words/mutants.hpp"

#if defined(COW_MUTANTS)

#include <chrono>
#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "model/seed_runner.hpp"

namespace cow::model {
namespace {

constexpr SeedRange seeds{1, 400};
constexpr std::chrono::seconds limit{120};

/// Some show only where operations fail, and mappings are few.
Setting setting_for(std::size_t mutant) {
  const auto planted = static_cast<Mutant>(mutant);
  if (planted < Mutant::failed_sweep_knows_of_drops) return {};
  if (planted > Mutant::unwatched_page_is_protected) return {};
  return {std::nullopt, 60, true, false, false};
}

class Mutants : public testing::TestWithParam<std::size_t> {};

TEST(Unmutated, the_engine_passes_the_seeds_that_find_the_mutants) {
  constexpr auto where_calls_fail = static_cast<std::size_t>(Mutant::unwatched_page_is_protected);
  for (const std::size_t mutant : {std::size_t{1}, where_calls_fail}) {
    const Verdict verdict = run_seeds(seeds, setting_for(mutant), 2, limit);
    EXPECT_TRUE(verdict.passed) << verdict.text;
  }
}

TEST_P(Mutants, are_found) {
  const Verdict verdict = run_seeds(seeds, setting_for(GetParam()), 1, limit, GetParam());
  EXPECT_FALSE(verdict.passed) << mutant_name(GetParam()) << " went unnoticed";
  RecordProperty("found", verdict.text.substr(0, verdict.text.find('\n')));
}

INSTANTIATE_TEST_SUITE_P(Planted, Mutants, testing::Range(std::size_t{1}, mutant_count),
                         [](const auto& which) { return std::string(mutant_name(which.param)); });

}  // namespace
}  // namespace cow::model

#endif

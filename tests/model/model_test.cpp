// Promise: whatever is done in whatever order, content is that of plain bytes, and at the end no frame is left over. So
// it is under each barrier, where mappings are scarce, and where the kernel refuses: an operation that throws has
// changed nothing, then or later.
// COW_SEED=n replays one run and tells each operation; COW_RUNS=n makes more or fewer (from COW_SEED on, if both).
// COW_FORCE_HUGE_PAGES=1 allows the last test to set the machine's shmem_enabled to "force" meanwhile.
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "model/seed_runner.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"

namespace cow::model {
namespace {

void run_or_replay(const Setting& setting, std::uint64_t usual_runs) {
  const auto seed = test::number_from_environment("COW_SEED");
  const auto runs = test::number_from_environment("COW_RUNS");
  if (seed && !runs) {
    const Verdict verdict = replay(*seed, setting);
    EXPECT_TRUE(verdict.passed) << verdict.text;
    return;
  }
  const SeedRange seeds{seed.value_or(1), runs.value_or(usual_runs)};
  const auto limit = std::chrono::seconds(60 + seeds.count);
  const Verdict verdict = run_seeds(seeds, setting, 2, limit);
  EXPECT_TRUE(verdict.passed) << verdict.text;
}

TEST(Model, random_operations_leave_what_plain_bytes_would_hold) {
  run_or_replay({}, test::under_tsan ? 200 : test::under_asan ? 600 : 3000);
}

class ModelUnder : public testing::TestWithParam<Setting> {};

TEST_P(ModelUnder, random_operations_leave_what_plain_bytes_would_hold) {
  const auto barrier = GetParam().barrier;
  if (barrier && !test::is_available(*barrier)) GTEST_SKIP() << "this barrier is not available here";
  const std::uint64_t runs = test::under_tsan ? 20 : test::under_asan ? 40 : 200;
  run_or_replay(GetParam(), GetParam().files ? runs / 4 : runs);
}

/// The machine's setting, changed for as long as an object lives.
class HugePagesForced {
 public:
  HugePagesForced() {
    std::string words;
    std::getline(std::ifstream(setting), words);
    const std::size_t first = words.find('['), end = words.find(']');
    if (end != std::string::npos) before_ = words.substr(first + 1, end - first - 1);
    done_ = !before_.empty() && set("force");
  }
  HugePagesForced(const HugePagesForced&) = delete;
  HugePagesForced& operator=(const HugePagesForced&) = delete;
  ~HugePagesForced() {
    if (done_) set(before_);
  }
  bool done() const { return done_; }

 private:
  static constexpr const char* setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
  static bool set(const std::string& word) { return static_cast<bool>(std::ofstream(setting) << word << std::flush); }

  std::string before_;
  bool done_ = false;
};

TEST(Model, holds_where_the_machine_gives_huge_pages_for_all_shared_memory) {
  if (!test::number_from_environment("COW_FORCE_HUGE_PAGES")) GTEST_SKIP() << "it changes the machine; see above";
  const HugePagesForced forced;
  if (!forced.done()) GTEST_SKIP() << "shmem_enabled cannot be set here";
  for (const bool refusals : {false, true}) run_or_replay({{}, 0, refusals, false, false}, 40);
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const Barrier barrier : test::every_barrier())
    for (const std::uint64_t budget : {0U, 10U, 60U})
      for (const bool refusals : {false, true}) all.push_back({barrier, budget, refusals, false, false});
  for (const Barrier barrier : test::every_barrier()) all.push_back({barrier, 60, true, true, false});
  for (const Barrier barrier : test::every_barrier())
    for (const std::uint64_t budget : {0U, 60U})
      for (const bool refusals : {false, true}) all.push_back({barrier, budget, refusals, false, true});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Each, ModelUnder, testing::ValuesIn(settings()),
                         [](const auto& which) { return name_of(which.param); });

}  // namespace
}  // namespace cow::model

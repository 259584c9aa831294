// Runs a test suite once for each barrier; a barrier that this build or this kernel does not offer is skipped.
#pragma once

#include <exception>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"

namespace cow::test {

inline std::vector<Barrier> every_barrier() { return {Barrier::mprotect, Barrier::userfaultfd, Barrier::kernel}; }

inline ArenaOptions options_for(Barrier barrier, std::size_t pages, std::string name = "test") {
  ArenaOptions options;
  options.capacity = pages * page_size();
  options.name = std::move(name);
  options.barrier = barrier;
  return options;
}

/// The kernel barrier stays though the process has, or had, threads: nobody writes while a cut is made.
inline ArenaOptions quiet_options_for(Barrier barrier, std::size_t pages) {
  ArenaOptions options = options_for(barrier, pages);
  options.quiet_cuts = true;
  return options;
}

inline Arena quiet_arena(Barrier barrier, std::size_t pages) { return Arena(quiet_options_for(barrier, pages)); }

/// Asks by making an arena, which installs the fault handler.
inline bool is_available(Barrier barrier) {
  try {
    const Arena probe(options_for(barrier, 1));
    return probe.barrier() == barrier;
  } catch (const std::exception&) {
    return false;
  }
}

inline std::vector<Barrier> available_barriers() {
  std::vector<Barrier> available;
  for (const Barrier barrier : every_barrier())
    if (is_available(barrier)) available.push_back(barrier);
  return available;
}

inline const char* name_of(Barrier barrier) {
  switch (barrier) {
    case Barrier::mprotect: return "mprotect";
    case Barrier::userfaultfd: return "userfaultfd";
    case Barrier::automatic: return "automatic";
    case Barrier::kernel: return "kernel";
  }
  return "unknown";
}

/// Base of suites that must hold for each barrier. Which exist is asked when a test starts, not when
/// tests are listed: the list is made where the tests are built, perhaps not where they run.
class BarrierTest : public testing::TestWithParam<Barrier> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam())) GTEST_SKIP() << name_of(GetParam()) << " is not available here";
  }
  Arena make_arena(std::size_t pages, std::string name = "test") const {
    return Arena(options_for(GetParam(), pages, std::move(name)));
  }
};

}  // namespace cow::test

namespace cow {
// Found by argument-dependent look-up when GoogleTest prints the parameter of a test that failed.
inline void PrintTo(Barrier barrier, std::ostream* out) { *out << test::name_of(barrier); }
}  // namespace cow

/// For a test of what only barriers with signals do.
#define COW_WHERE_WRITES_ARE_CAUGHT() \
  if (GetParam() == cow::Barrier::kernel) GTEST_SKIP() << "the kernel barrier catches no writes"

#define COW_FOR_EVERY_BARRIER(suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(Barriers, suite, testing::ValuesIn(cow::test::every_barrier()), \
                           [](const auto& barrier) { return std::string(cow::test::name_of(barrier.param)); })

// Promise: an operation does what it says where another thread changes the barrier meanwhile, as fork() and a fault
// profile do, which takes what was written to the very frames where old content is. The other thread gets its turn
// before each of the operation's kernel calls; where the operation holds what it needs there, it waits a while.
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "cow/fault_profile.hpp"
#include "support/barriers.hpp"
#include "support/beside.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 24;

void fork_and_wait() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
}

enum class Other { profile, fork };

/// The second parameter: whether a view shows the pages, so that they move.
class BetweenKernelCalls : public testing::TestWithParam<std::tuple<Other, bool>> {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "only the kernel barrier is changed by that";
    if (under_tsan && std::get<0>(GetParam()) == Other::fork) GTEST_SKIP() << "ThreadSanitizer: no fork() beside threads";
  }
  ~BetweenKernelCalls() override { stop_fault_profile(); }

  static void other() {
    if (std::get<0>(GetParam()) == Other::fork) return fork_and_wait();
    start_fault_profile();
  }

  /// A version with 1 in all pages, and 2 in those written since.
  struct Written {
    Arena arena;
    Snapshot version;
    std::optional<View> view;
  };
  static Written written() {
    stop_fault_profile();
    Written made{quiet_arena(Barrier::kernel, pages), {}, {}};
    fill_run(made.arena, 0, pages, 1);
    made.version = made.arena.snapshot();
    if (std::get<1>(GetParam())) made.view = made.version.view();
    fill_run(made.arena, 0, pages, 2);
    return made;
  }

  /// Before each of its calls in turn.
  static void at_each_call(const std::function<void(Written&)>& operation, const std::function<void(Written&)>& check) {
    bool made = true;
    for (std::int64_t nth = 1; made && nth < 400; ++nth) {
      SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
      Written of = written();
      made = run_beside(nth, [&] { operation(of); }, other);
      check(of);
      ASSERT_TRUE(shows(of.version, Picture(pages, 1)));
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    EXPECT_FALSE(made) << "it never ends";
  }
};

TEST_P(BetweenKernelCalls, adopt_goes_back_to_what_the_version_holds) {
  at_each_call([](Written& of) { of.arena.adopt(of.version); },
               [](Written& of) { EXPECT_TRUE(shows(of.arena, Picture(pages, 1))); });
}

TEST_P(BetweenKernelCalls, rollback_goes_back_to_what_the_version_holds) {
  at_each_call([](Written& of) { of.arena.rollback(of.version); },
               [](Written& of) { EXPECT_TRUE(shows(of.arena, Picture(pages, 1))); });
}

TEST_P(BetweenKernelCalls, snapshot_holds_what_was_written) {
  Snapshot taken;
  at_each_call([&](Written& of) { taken = of.arena.snapshot(); },
               [&](Written& of) {
                 fill_run(of.arena, 0, pages, 3);
                 EXPECT_TRUE(shows(taken, Picture(pages, 2)));
                 EXPECT_TRUE(shows(of.arena, Picture(pages, 3)));
                 taken = {};
               });
}

TEST_P(BetweenKernelCalls, merge_takes_what_theirs_alone_has_changed) {
  std::optional<Arena> clone;
  Snapshot theirs;
  at_each_call(
      [&](Written& of) {
        clone.emplace(of.version.clone());
        fill(*clone, 3, 5);
        theirs = clone->snapshot();
        MergeOptions options;
        options.on_conflict = OnConflict::take_theirs;
        (void)merge(of.arena, of.version, theirs, options);
      },
      [&](Written& of) {
        Picture merged(pages, 2);
        merged[3] = 5;
        EXPECT_TRUE(shows(of.arena, merged));
        theirs = {};
        clone.reset();
      });
}

TEST_P(BetweenKernelCalls, what_differs_from_a_version_is_told) {
  std::uint64_t bytes = 0;
  at_each_call(
      [&](Written& of) {
        bytes = 0;
        const Snapshot now = of.arena.snapshot();
        for_each_difference(of.version, now, [&](const Difference& part) { bytes += part.before.size(); }, page_size());
      },
      [&](Written&) { EXPECT_EQ(bytes, pages * page_size()); });
}

INSTANTIATE_TEST_SUITE_P(Others, BetweenKernelCalls,
                         testing::Combine(testing::Values(Other::profile, Other::fork), testing::Bool()),
                         [](const auto& of) {
                           return std::string(std::get<0>(of.param) == Other::fork ? "fork" : "profile") +
                                  (std::get<1>(of.param) ? "_shown" : "");
                         });

}  // namespace
}  // namespace cow::test

// Promise: a fault that cannot be resolved is told in one line and handed on as the signal it was; every content is as
// before, and the write succeeds when it is tried again.
#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/family.hpp"
#include "support/foreign_page.hpp"
#include "support/pages.hpp"
#include "support/refuse_memory.hpp"

namespace cow::test {
namespace {

struct Target {
  Painted* painted = nullptr;
  std::size_t page = 0;
};

/// The page to write, after everything is protected: one for each decision of the rule.
using Choose = Target (*)(Family&);

const std::map<std::string, Choose>& kinds() {
  static const std::map<std::string, Choose> all = {
      {"never_written",
       [](Family& family) {  // by itself: a version that is read without memory has room for one page more
         family.painted.paint_run(24, 4, 4);
         family.painted.paint_run(29, 3, 4);
         { const Snapshot passing = family.painted.arena().snapshot(); }
         return Target{&family.painted, 28};
       }},
      {"lent_to_a_view", [](Family& family) { return Target{&family.painted, 20}; }},
      {"sole_owner",
       [](Family& family) {
         family.painted.paint(26, 4);
         { const Snapshot passing = family.painted.arena().snapshot(); }
         return Target{&family.painted, 26};
       }},
      {"to_history",
       [](Family& family) {
         static Snapshot newest;
         family.painted.paint(26, 4);
         newest = family.painted.arena().snapshot();
         return Target{&family.painted, 26};
       }},
      {"borrowed", [](Family& family) { return Target{&*family.clone, 2}; }},
      {"moved_by_the_clone", [](Family& family) {
         static Snapshot newest;
         newest = family.clone->arena().snapshot();
         return Target{&*family.clone, 7};
       }},
  };
  return all;
}

struct Request {
  Choose choose = nullptr;
  Barrier barrier = Barrier::mprotect;
  std::int64_t nth = 0;
};

/// "kind barrier nth".
Request parsed(const std::string& argument) {
  char kind[32] = "", barrier[32] = "";
  Request request;
  long nth = 0;
  std::sscanf(argument.c_str(), "%31s %31s %ld", kind, barrier, &nth);
  request.choose = kinds().at(kind);
  if (std::string(barrier) == name_of(Barrier::userfaultfd)) request.barrier = Barrier::userfaultfd;
  request.nth = nth;
  return request;
}

constexpr int wrote_without_failure = 0;
constexpr int wrote_in_spite_of_failure = 3;
constexpr int went_wrong = 1;
constexpr int cannot_refuse = 77;

COW_CHILD_BODY(write_and_die) {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  const Request request = parsed(argument);
  Family family(Arena(options_for(request.barrier, Family::pages)));
  const Target target = request.choose(family);
  const std::int64_t before = os::calls_made();
  os::fail_after(request.nth);
  put_mark(target.painted->arena(), target.page, 77);
  os::fail_after(0);
  return os::calls_made() - before < request.nth ? wrote_without_failure : wrote_in_spite_of_failure;
}

sigjmp_buf way_out;
volatile int rounds = 0;
void jump_out(int, siginfo_t*, void*) { siglongjmp(way_out, 1); }

void jump_out_of_both() {
  set_handler(jump_out);
  struct sigaction action = {};
  action.sa_sigaction = jump_out;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

// The application has a handler that jumps out of the fault, and looks at everything.
COW_CHILD_BODY(write_and_jump_out) {
  jump_out_of_both();
  const Request request = parsed(argument);
  Family family(Arena(options_for(request.barrier, Family::pages)));
  const Target target = request.choose(family);
  const std::int64_t before = os::calls_made();
  const bool jumped = sigsetjmp(way_out, 1) != 0;
  if (!jumped) {
    os::fail_after(request.nth);
    put_mark(target.painted->arena(), target.page, 77);
  }
  os::fail_after(0);
  const bool injected = os::calls_made() - before >= request.nth;
  if (!jumped) target.painted->paint(target.page, 77);
  family.expect_intact();
  target.painted->paint(target.page, 78);
  family.expect_intact();
  family.expect_to_go_on();
  if (testing::Test::HasFailure()) return went_wrong;
  return injected ? wrote_in_spite_of_failure : wrote_without_failure;
}

// Not one call fails but all of them: there is no other way left.
COW_CHILD_BODY(write_without_memory_and_die) {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  const Request request = parsed(argument);
  Family family(Arena(options_for(request.barrier, Family::pages)));
  const Target target = request.choose(family);
  if (!refuse_memory_from_now_on()) return cannot_refuse;
  put_mark(target.painted->arena(), target.page, 77);
  return went_wrong;
}

COW_CHILD_BODY(write_without_memory_and_jump_out) {
  jump_out_of_both();
  const Request request = parsed(argument);
  Family family(Arena(options_for(request.barrier, Family::pages)));
  const Target target = request.choose(family);
  family.expect_intact();
  if (!refuse_memory_from_now_on()) return cannot_refuse;
  while (rounds < 3) {
    rounds = rounds + 1;
    if (sigsetjmp(way_out, 1) != 0) continue;
    put_mark(target.painted->arena(), target.page, 77);
    return went_wrong;
  }
  family.expect_intact();
  return testing::Test::HasFailure() ? went_wrong : 0;
}

class FailingFaults : public testing::TestWithParam<std::tuple<std::string, Barrier>> {
 protected:
  void SetUp() override {
    if (!is_available(std::get<1>(GetParam()))) GTEST_SKIP() << "this barrier is not available here";
  }
  std::string request(int nth) const {
    return std::get<0>(GetParam()) + " " + name_of(std::get<1>(GetParam())) + " " + std::to_string(nth);
  }
};

TEST_P(FailingFaults, are_told_in_one_line_and_are_deadly) {
  for (int nth = 1; nth < 50; ++nth) {
    const ChildResult result = run_child("write_and_die", request(nth));
    if (result.exited_with(wrote_without_failure)) return;
    if (result.exited_with(wrote_in_spite_of_failure)) continue;
    const bool died = result.died_by(SIGSEGV) || result.died_by(SIGBUS);
    ASSERT_TRUE(died) << "when call " << nth << " fails: " << result.how();
    ASSERT_EQ(std::count(result.error_text.begin(), result.error_text.end(), '\n'), 1) << result.error_text;
  }
  FAIL() << "the write never completes";
}

TEST_P(FailingFaults, leave_everything_to_who_jumps_out_of_them) {
  for (int nth = 1; nth < 50; ++nth) {
    const ChildResult result = run_child("write_and_jump_out", request(nth));
    if (result.exited_with(wrote_without_failure)) return;
    ASSERT_TRUE(result.exited_with(wrote_in_spite_of_failure)) << "when call " << nth << " fails: " << result.how();
  }
  FAIL() << "the write never completes";
}

TEST_P(FailingFaults, without_any_memory_left_are_told_in_one_line_and_are_deadly) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  const ChildResult result = run_child("write_without_memory_and_die", request(1));
  if (result.exited_with(cannot_refuse)) GTEST_SKIP() << "this sandbox allows no filters";
  const bool died = result.died_by(SIGSEGV) ||
                    (std::get<1>(GetParam()) == Barrier::userfaultfd && result.died_by(SIGBUS));
  ASSERT_TRUE(died) << result.how();
  ASSERT_EQ(std::count(result.error_text.begin(), result.error_text.end(), '\n'), 1) << result.error_text;
}

TEST_P(FailingFaults, without_any_memory_left_change_nothing) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  const ChildResult result = run_child("write_without_memory_and_jump_out", request(1));
  if (result.exited_with(cannot_refuse)) GTEST_SKIP() << "this sandbox allows no filters";
  ASSERT_TRUE(result.exited_with(0)) << result.how();
}

std::vector<std::string> names_of_kinds() {
  std::vector<std::string> names;
  for (const auto& [name, choose] : kinds()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Writes, FailingFaults,
                         testing::Combine(testing::ValuesIn(names_of_kinds()), testing::ValuesIn(every_barrier())),
                         [](const auto& which) {
                           return std::get<0>(which.param) + "_" + name_of(std::get<1>(which.param));
                         });

}  // namespace
}  // namespace cow::test

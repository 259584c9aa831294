// Promise: when the kernel has no memory at all any more, operations that need some throw std::system_error or
// std::bad_alloc, those that end something do not, and all content is as before.
#include <functional>
#include <map>
#include <new>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/family.hpp"
#include "support/pages.hpp"
#include "support/refuse_memory.hpp"

namespace cow::test {
namespace {

constexpr int succeeded = 0;
constexpr int went_wrong = 1;
constexpr int threw = 3;
constexpr int cannot_refuse = 77;

struct Attempt {
  std::function<void(Family&)> prepare;  // while there still is memory
  std::function<void(Family&)> run;
};

Snapshot protects;  // a snapshot that outlives the preparation: what it shows is read-only

void protect_all(Family& family) {
  family.painted.paint(26, 4);
  protects = family.painted.arena().snapshot();
}
void nothing(Family&) {}

const std::map<std::string, Attempt>& needing_memory() {
  static const std::map<std::string, Attempt> all = {
      {"make_an_arena", {nothing, [](Family&) { const Arena another(options_for(Barrier::mprotect, 64)); }}},
      {"clone_an_arena", {protect_all, [](Family& family) { (void)family.painted.arena().clone(); }}},
      {"clone_an_old_snapshot", {nothing, [](Family& family) { (void)family.first.clone(); }}},
      {"open_a_view", {nothing, [](Family& family) { (void)family.first.view(); }}},
      {"prepare_a_lent_page", {protect_all,
        [](Family& family) { family.painted.arena().prepare_write(page_at(family.painted.arena(), 20), 1); }}},
      {"prepare_a_borrowed_page", {nothing,
        [](Family& family) { family.clone->arena().prepare_write(page_at(family.clone->arena(), 2), 1); }}},
  };
  return all;
}

const std::map<std::string, Attempt>& perhaps_needing_memory() {
  static const std::map<std::string, Attempt> all = {
      {"take_a_snapshot", {nothing, [](Family& family) {
         const Snapshot snapshot = family.painted.arena().snapshot();
         EXPECT_TRUE(shows(snapshot, family.painted.picture()));
       }}},
      {"roll_back", {protect_all, [](Family& family) {
         family.painted.arena().rollback(family.first);
         family.painted.set_picture(Family::first_picture());
       }}},
      {"roll_a_clone_back", {nothing, [](Family& family) {
         family.clone->arena().rollback(family.second);
         family.clone->set_picture(family.second_picture);
       }}},
      {"discard", {protect_all, [](Family& family) {
         family.painted.arena().discard(family.painted.arena().data(), family.painted.arena().capacity());
         family.painted.set_picture(Picture(Family::pages, 0));
       }}},
      {"ask_what_changed", {nothing, [](Family& family) {
         (void)family.painted.arena().changed_since(family.first);
       }}},
  };
  return all;
}

const std::map<std::string, Attempt>& needing_nothing() {
  static const std::map<std::string, Attempt> all = {
      {"read", {nothing, [](Family& family) { EXPECT_TRUE(shows(family.first, Family::first_picture())); }}},
      {"copy_and_drop_handles", {protect_all, [](Family& family) {
         Snapshot copy = family.first;
         copy = family.second;
         protects = Snapshot();
       }}},
      {"move_everything", {nothing, [](Family& family) {
         Arena moved = std::move(family.painted.arena());
         family.painted.arena() = std::move(moved);
       }}},
      {"drop_a_snapshot_and_a_view", {nothing, [](Family& family) {
         const Snapshot kept = std::exchange(family.second, Snapshot());
         family.second = kept;
         View passing = std::move(family.view);
         family.view = std::move(passing);
       }}},
      {"ask_for_numbers", {nothing, [](Family& family) { (void)family.painted.arena().stats(); }}},
  };
  return all;
}

std::map<std::string, Attempt> attempts() {
  std::map<std::string, Attempt> all = needing_memory();
  all.insert(perhaps_needing_memory().begin(), perhaps_needing_memory().end());
  all.insert(needing_nothing().begin(), needing_nothing().end());
  return all;
}

/// "attempt barrier".
COW_CHILD_BODY(try_without_memory) {
  const std::size_t space = argument.find(' ');
  const Attempt attempt = attempts().at(argument.substr(0, space));
  const bool by_userfaultfd = argument.substr(space + 1) == name_of(Barrier::userfaultfd);
  Family family(Arena(options_for(by_userfaultfd ? Barrier::userfaultfd : Barrier::mprotect, Family::pages)));
  attempt.prepare(family);
  family.expect_intact();
  if (!refuse_memory_from_now_on()) return cannot_refuse;
  int outcome = succeeded;
  try {
    attempt.run(family);
  } catch (const std::system_error& error) {
    outcome = error.code().value() == ENOMEM ? threw : went_wrong;
  } catch (const std::bad_alloc&) {
    outcome = threw;
  }
  family.expect_intact();
  return testing::Test::HasFailure() ? went_wrong : outcome;
}

class NoMemoryLeft : public testing::TestWithParam<std::tuple<std::string, Barrier>> {
 protected:
  void SetUp() override {
    if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
    if (!is_available(std::get<1>(GetParam()))) GTEST_SKIP() << "this barrier is not available here";
    const auto& [attempt, barrier] = GetParam();
    result_ = run_child("try_without_memory", attempt + " " + name_of(barrier));
    if (result_.exited_with(cannot_refuse)) GTEST_SKIP() << "this sandbox allows no filters";
  }
  const ChildResult& result() const { return result_; }

 private:
  ChildResult result_;
};

class NeedingMemory : public NoMemoryLeft {};
class PerhapsNeedingMemory : public NoMemoryLeft {};
class NeedingNothing : public NoMemoryLeft {};

TEST_P(NeedingMemory, throws_and_changes_nothing) { EXPECT_TRUE(result().exited_with(threw)) << result().how(); }
TEST_P(PerhapsNeedingMemory, succeeds_or_throws_and_changes_nothing) {
  EXPECT_TRUE(result().exited_with(succeeded) || result().exited_with(threw)) << result().how();
}
TEST_P(NeedingNothing, succeeds) { EXPECT_TRUE(result().exited_with(succeeded)) << result().how(); }

std::vector<std::string> names_of(const std::map<std::string, Attempt>& all) {
  std::vector<std::string> names;
  for (const auto& [name, attempt] : all) names.push_back(name);
  return names;
}
std::string name_of_test(const testing::TestParamInfo<NoMemoryLeft::ParamType>& which) {
  return std::get<0>(which.param) + "_" + name_of(std::get<1>(which.param));
}
auto each(const std::map<std::string, Attempt>& all) {
  return testing::Combine(testing::ValuesIn(names_of(all)), testing::ValuesIn(every_barrier()));
}

INSTANTIATE_TEST_SUITE_P(NoMemory, NeedingMemory, each(needing_memory()), name_of_test);
INSTANTIATE_TEST_SUITE_P(NoMemory, PerhapsNeedingMemory, each(perhaps_needing_memory()), name_of_test);
INSTANTIATE_TEST_SUITE_P(NoMemory, NeedingNothing, each(needing_nothing()), name_of_test);

}  // namespace
}  // namespace cow::test

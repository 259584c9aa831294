// Promise: where no descriptor is left, what needs one throws std::system_error and changes nothing, and nothing else
// needs one. An arena takes two, and the first one with userfaultfd another, for all; a living fork() child one.
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/family.hpp"
#include "support/limits.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

/// What the call throws while so many descriptors are left; no code where it does not. The limit is gone when the
/// exception arrives: UndefinedBehaviorSanitizer needs a pipe to look at it.
template <class Call>
std::error_code refusal_with(std::size_t left, Call&& call) {
  try {
    const DescriptorsLeft few(left);
    call();
    return {};
  } catch (const std::system_error& error) {
    EXPECT_TRUE(names_a_size(error.what()) || std::string(error.what()).find("backtraces") != std::string::npos)
        << error.what();
    return error.code();
  }
}

const std::error_code too_many_open(EMFILE, std::generic_category());

class WithoutDescriptors : public BarrierTest {};
COW_FOR_EVERY_BARRIER(WithoutDescriptors);

TEST_P(WithoutDescriptors, making_an_arena_throws_and_leaves_nothing) {
  const Arena first = make_arena(1);  // it took what is the barrier's
  for (std::size_t left = 0; left <= 2; ++left) {
    const std::size_t descriptors = descriptor_count(), mapped = mapping_count();
    const std::error_code refusal = refusal_with(left, [this] { EXPECT_TRUE(shows(make_arena(4), Picture(4, 0))); });
    EXPECT_EQ(refusal, left < 2 ? too_many_open : std::error_code()) << left << " are left";
    EXPECT_EQ(descriptor_count(), descriptors) << left << " are left";
    EXPECT_LE(mapping_count(), mapped + 2) << left << " are left";
  }
}

TEST_P(WithoutDescriptors, a_clone_needs_none) {
  Family family(make_arena(Family::pages));
  const std::size_t descriptors = descriptor_count();
  const ArenaStats before = family.painted.arena().stats();
  const std::error_code refusal =
      refusal_with(0, [&] { EXPECT_TRUE(shows(family.second.clone(), family.second_picture)); });
  EXPECT_EQ(refusal, std::error_code());
  EXPECT_EQ(descriptor_count(), descriptors);
  EXPECT_EQ(family.painted.arena().stats().file_frames_used, before.file_frames_used);
  EXPECT_EQ(family.painted.arena().stats().snapshots_alive, before.snapshots_alive);
  family.expect_intact();
  family.expect_to_go_on();
}

TEST_P(WithoutDescriptors, nothing_else_needs_one) {
  Family family(make_arena(Family::pages));
  const DescriptorsLeft none(0);
  Arena& arena = family.painted.arena();
  const View view = arena.snapshot().view();
  EXPECT_TRUE(shows(view, family.painted.picture()));
  EXPECT_FALSE(arena.changed_since(family.first).empty());
  arena.prepare_write(arena.data(), arena.capacity());
  EXPECT_GT(arena.stats().pages_writable, 0U);
  family.expect_to_go_on();
  arena.discard(arena.data(), arena.capacity());
  EXPECT_TRUE(shows(arena, Picture(Family::pages, 0)));
}

// One that cannot be told about its parent's arenas must not see them.
TEST_P(WithoutDescriptors, a_child_of_fork_is_shut_out_and_its_parent_goes_on) {
  if (under_tsan) GTEST_SKIP() << tsan_blocks_faults_in_handlers;
  Family family(make_arena(Family::pages));
  pid_t child = -1;
  int status = 0;
  {
    const DescriptorsLeft none(0);
    child = ::fork();
    if (child == 0) {
      ::signal(SIGSEGV, SIG_DFL);
      ::signal(SIGBUS, SIG_DFL);
      const std::uint64_t seen = *reinterpret_cast<volatile std::uint64_t*>(family.painted.arena().data());
      ::_exit(static_cast<int>(seen));
    }
    ASSERT_EQ(::waitpid(child, &status, 0), child);
  }
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) << "wait status " << status;
  family.expect_intact();
  family.expect_to_go_on();
}

COW_CHILD_BODY(ask_for_any_barrier_when_it_is_too_early) {
  const auto make_arena = [] { const Arena arena(options_for(Barrier::automatic, 4)); };
  CHECK_IN_CHILD(refusal_with(0, make_arena) == too_many_open);
  const Barrier best = is_available(Barrier::kernel) ? Barrier::kernel : Barrier::userfaultfd;
  CHECK_IN_CHILD(Arena(options_for(Barrier::automatic, 4)).barrier() == best);
  CHECK_IN_CHILD(Arena(options_for(Barrier::userfaultfd, 4)).barrier() == Barrier::userfaultfd);
  return testing::Test::HasFailure() ? 1 : 0;
}

// What is short now is not what the kernel or a sandbox refuses for good.
TEST(DescriptorsShort, which_barrier_there_is_stays_open) {
  if (!is_available(Barrier::userfaultfd)) GTEST_SKIP() << "userfaultfd is not available here";
  const ChildResult result = run_child("ask_for_any_barrier_when_it_is_too_early");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

COW_CHILD_BODY(ask_for_backtraces) {
  Arena arena(options_for(Barrier::mprotect, 4));
  bool offered = true;
  const std::error_code refusal = refusal_with(0, [&] { offered = print_backtraces_of_bad_accesses(true); });
  if (!offered) return 77;
  CHECK_IN_CHILD(refusal == too_many_open);
  if (!print_backtraces_of_bad_accesses(true)) return 77;
  return 0;
}

TEST(DescriptorsShort, backtraces_cannot_be_had_until_there_are_some) {
  if (under_asan) GTEST_SKIP() << "UndefinedBehaviorSanitizer needs a pipe where the exception is made";
  const ChildResult result = run_child("ask_for_backtraces");
  if (result.exited_with(77)) GTEST_SKIP() << "built without libunwind";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

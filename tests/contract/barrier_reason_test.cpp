// Promise: ArenaStats::barrier_reason says what made the barrier the one in use.
#include <string>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

std::string reason_of(const Arena& arena) { return arena.stats().barrier_reason; }

TEST(BarrierReason, is_that_it_was_asked_for_or_guessed) {
  for (const Barrier barrier : available_barriers()) EXPECT_EQ(reason_of(Arena(options_for(barrier, 4))), "asked for");
  EXPECT_NE(reason_of(Arena(options_for(Barrier::automatic, 4))).find("automatic"), std::string::npos);
}

TEST(BarrierReason, is_a_refusal_of_writes_where_that_needs_signals) {
  if (!is_available(Barrier::kernel)) GTEST_SKIP() << "no kernel barrier here";
  Arena arena = quiet_arena(Barrier::kernel, 16);
  fill_run(arena, 0, 16, 1);
  (void)arena.snapshot();
  const RefuseWrites refuse(arena);
  ASSERT_NE(arena.barrier(), Barrier::kernel);
  EXPECT_NE(reason_of(arena).find("RefuseWrites"), std::string::npos) << reason_of(arena);
}

}  // namespace
}  // namespace cow::test

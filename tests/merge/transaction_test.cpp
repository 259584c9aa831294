// Promise: what a transaction changed is taken back unless it was committed, by exceptions too, however they nest.
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class Transactions : public BarrierTest {
 protected:
  Painted painted_arena() const {
    Painted painted(make_arena(32));
    painted.paint_run(0, 16, 1);
    return painted;
  }
};
COW_FOR_EVERY_BARRIER(Transactions);

TEST_P(Transactions, bring_the_begin_back) {
  Painted painted = painted_arena();
  {
    const Transaction transaction(painted.arena());
    fill_run(painted.arena(), 8, 16, 2);
  }
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, keep_what_was_committed) {
  Painted painted = painted_arena();
  {
    Transaction transaction(painted.arena());
    painted.paint_run(8, 16, 2);
    transaction.commit();
    painted.paint(3, 4);
  }
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, are_unwound_by_exceptions) {
  Painted painted = painted_arena();
  const auto change = [&] {
    const Transaction transaction(painted.arena());
    fill_run(painted.arena(), 0, 32, 2);
    throw std::range_error("no");
  };
  EXPECT_TRUE(throws_exactly<std::range_error>(change));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, nest_and_an_inner_commit_goes_with_the_outer_one) {
  Painted painted = painted_arena();
  {
    const Transaction outer(painted.arena());
    fill(painted.arena(), 1, 2);
    {
      Transaction inner(painted.arena());
      fill(painted.arena(), 2, 3);
      inner.commit();
    }
    EXPECT_EQ(mark_of(painted.arena(), 2), 3U);
    {
      const Transaction inner(painted.arena());
      fill(painted.arena(), 1, 4);
    }
    EXPECT_EQ(mark_of(painted.arena(), 1), 2U);
  }
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, roll_back_once_and_have_ended_then) {
  Painted painted = painted_arena();
  Transaction transaction(painted.arena());
  fill(painted.arena(), 1, 2);
  transaction.roll_back();
  EXPECT_TRUE(painted.is_right());
  painted.paint(1, 5);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { transaction.roll_back(); }));
  transaction.commit();
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, refuse_the_arenas_own_rollback_while_they_are_open) {
  Painted painted = painted_arena();
  const Snapshot before = painted.arena().snapshot();
  const Picture then = painted.picture();
  {
    Transaction outer(painted.arena());
    painted.paint(1, 2);
    const auto refused = throws_exactly<std::logic_error>([&] { painted.arena().rollback(before); });
    EXPECT_TRUE(refused);
    EXPECT_NE(std::string(refused.message()).find("Transaction::roll_back()"), std::string::npos) << refused.message();
    {
      Transaction inner(painted.arena());
      EXPECT_TRUE(throws_exactly<std::logic_error>([&] { outer.roll_back(); }));
      inner.commit();
    }
    EXPECT_TRUE(painted.is_right());
    outer.commit();
  }
  painted.arena().rollback(before);
  EXPECT_TRUE(shows(painted.arena(), then));
}

TEST_P(Transactions, end_with_the_outer_one_in_whatever_order_they_go) {
  Painted painted = painted_arena();
  std::optional<Transaction> outer(std::in_place, painted.arena());
  fill(painted.arena(), 1, 2);
  std::optional<Transaction> inner(std::in_place, painted.arena());
  fill(painted.arena(), 1, 3);
  outer.reset();
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { inner->roll_back(); }));
  inner.reset();
  EXPECT_TRUE(painted.is_right());
  const Snapshot now = painted.arena().snapshot();
  painted.arena().rollback(now);
}

TEST_P(Transactions, that_are_committed_take_inner_ones_along) {
  static_assert(noexcept(std::declval<Transaction&>().commit()));
  Painted painted = painted_arena();
  {
    Transaction outer(painted.arena());
    painted.paint(1, 2);
    Transaction inner(painted.arena());
    painted.paint(2, 3);
    outer.commit();
    EXPECT_TRUE(throws_exactly<std::logic_error>([&] { inner.roll_back(); }));
    inner.commit();  // nothing
  }
  EXPECT_TRUE(painted.is_right());
  const Snapshot now = painted.arena().snapshot();
  painted.arena().rollback(now);
}

TEST_P(Transactions, that_were_committed_along_have_ended_however_many_begin_later) {
  Painted painted = painted_arena();
  std::optional<Transaction> inner;
  {
    Transaction outer(painted.arena());
    inner.emplace(painted.arena());
    outer.commit();
  }
  Transaction first(painted.arena());
  Transaction second(painted.arena());
  painted.paint_run(8, 16, 3);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { inner->roll_back(); }));
  inner.reset();
  EXPECT_TRUE(painted.is_right());
  second.commit();
  first.commit();
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, are_rolled_back_from_the_inside_out_or_change_nothing) {
  Painted painted = painted_arena();
  {
    Transaction outer(painted.arena());
    fill(painted.arena(), 1, 2);
    {
      Transaction inner(painted.arena());
      fill(painted.arena(), 2, 3);
      const auto refused = throws_exactly<std::logic_error>([&] { outer.roll_back(); });
      EXPECT_TRUE(refused);
      EXPECT_NE(std::string(refused.message()).find("commit that or roll it back first"), std::string::npos);
      EXPECT_EQ(mark_of(painted.arena(), 2), 3U);
      inner.roll_back();
    }
    EXPECT_EQ(mark_of(painted.arena(), 1), 2U);
    EXPECT_EQ(mark_of(painted.arena(), 2), painted.picture()[2]);
  }
  EXPECT_TRUE(painted.is_right());
  static_assert(!std::is_move_constructible_v<Transaction> && !std::is_move_assignable_v<Transaction>);
}

TEST_P(Transactions, take_back_adopted_content_and_stay_with_a_moved_arena) {
  Painted painted = painted_arena();
  Arena clone = painted.arena().clone();
  fill(clone, 4, 9);
  std::optional<Transaction> transaction(std::in_place, painted.arena());
  painted.arena().adopt(clone.snapshot());
  EXPECT_EQ(mark_of(painted.arena(), 4), 9U);
  Painted moved(std::move(painted.arena()), painted.picture());
  transaction.reset();
  EXPECT_TRUE(moved.is_right());
}

TEST_P(Transactions, whose_rollback_the_kernel_refuses_stay_open) {
  Painted painted = painted_arena();
  Transaction transaction(painted.arena());
  fill_run(painted.arena(), 0, 32, 2);
  const Snapshot between = painted.arena().snapshot();
  os::fail_by_chance(1, 1);
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { transaction.roll_back(); }));
  os::fail_by_chance(0, 0);
  EXPECT_EQ(mark_of(painted.arena(), 20), 2U);
  transaction.roll_back();
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Transactions, of_a_moved_from_arena_are_refused) {
  Arena arena = make_arena(4);
  const Arena moved = std::move(arena);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { Transaction transaction(arena); }));
}

}  // namespace
}  // namespace cow::test

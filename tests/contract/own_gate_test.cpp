// Promise: a thread inside an arena's own gate is told so by whatever cuts the arena, where it would wait for itself.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <unistd.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 16;

class OwnGate : public BarrierTest {
 protected:
  /// What waits for itself has its signals blocked: ctest would wait long.
  OwnGate() {
    ::alarm(20);
    std::thread([] { ::pause(); }).detach();  // whom the alarm can reach
  }
  ~OwnGate() override { ::alarm(0); }

  Arena make() {
    ArenaOptions options = options_for(GetParam(), pages, "gated");
    options.gate = &gate;
    return Arena(options);
  }

  UpdateGate gate;
};
COW_FOR_EVERY_BARRIER(OwnGate);

testing::AssertionResult says(const testing::AssertionResult& thrown, const char* what) {
  if (!thrown || std::string(thrown.message()).find(what) != std::string::npos) return thrown;
  return testing::AssertionFailure() << thrown.message();
}

TEST_P(OwnGate, is_told_by_all_that_cuts_and_nothing_has_changed) {
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  Arena clone = before.clone();
  fill(clone, 3, 7);
  const Snapshot theirs = clone.snapshot();
  fill_run(arena, 8, 4, 2);
  std::optional<Transaction> open(std::in_place, clone);
  const std::function<void()> cuts[] = {
      [&] { (void)arena.snapshot(); },
      [&] { (void)arena.clone(); },
      [&] { arena.rollback(before); },
      [&] { arena.adopt(theirs); },
      [&] { (void)merge(arena, before, theirs); },
      [&] { arena.exclude(page_at(arena, 15), page_size()); },
      [&] { const Transaction transaction(arena); },
      [&] { const RefuseWrites refuse(arena); },
      [&] { open->roll_back(); },
      [&] { (void)clone.snapshot(); },
  };
  for (const auto& cut : cuts) {
    {
      const UpdateGate::Updating updating(gate);
      EXPECT_TRUE(says(throws_exactly<std::logic_error>(cut), "end the update first"));
    }
    {
      const UpdateGate::Quiet quiet(gate);
      EXPECT_TRUE(says(throws_exactly<std::logic_error>(cut), "by itself"));
    }
  }
  EXPECT_TRUE(shows(arena, Picture{1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1}));
  for (const auto& cut : cuts) EXPECT_NO_THROW(cut());
}

TEST_P(OwnGate, of_another_thread_is_waited_for) {
  Arena arena = make();
  std::optional<UpdateGate::Updating> updating(std::in_place, gate);
  std::thread cutter([&] { (void)arena.snapshot(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  fill(arena, 0, 3);
  updating.reset();
  cutter.join();
  (void)arena.snapshot();
}

TEST_P(OwnGate, may_be_left_in_another_thread_than_it_was_entered) {
  Arena arena = make();
  std::optional<UpdateGate::Updating> first(std::in_place, gate), second(std::in_place, gate);
  first->between_updates();
  std::thread([&] { first.reset(); }).join();
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)arena.snapshot(); }));
  std::thread([&] { second.reset(); }).join();
  (void)arena.snapshot();
}

TEST_P(OwnGate, keeps_the_changes_of_a_transaction_whose_end_it_would_block) {
  Arena arena = make();
  fill(arena, 1, 1);
  std::optional<Transaction> transaction(std::in_place, arena);
  fill(arena, 1, 2);
  {
    const UpdateGate::Updating updating(gate);
    transaction.reset();
  }
  EXPECT_EQ(mark_of(arena, 1), 2U);
  arena.rollback(arena.snapshot());  // none is open
}

}  // namespace
}  // namespace cow::test

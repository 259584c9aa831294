// Promises: no update is under way while a Quiet exists, and what was updated before is seen; neither side starves.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::uint64_t enough = 50;
constexpr std::chrono::seconds far_too_long{20};

/// Two counters that are equal between any two updates.
struct Pair {
  std::uint64_t first = 0, second = 0;  // not atomic: the gate is what keeps the threads apart

  void update() {
    first = first + 1;
    std::this_thread::yield();  // others may run in the middle of an update, if they can
    second = second + 1;
  }
};

TEST(UpdateGate, lets_no_update_go_on_while_it_is_quiet) {
  UpdateGate gate;
  constexpr std::size_t updaters = 3;
  Pair pairs[updaters];
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> cuts{0};
  {
    Team team;
    for (std::size_t i = 0; i < updaters; ++i) {
      team.keep_doing([&] {
        Pair& mine = pairs[next.fetch_add(1) % updaters];
        UpdateGate::Updating updating(gate);
        while (!team.is_stopped()) {
          mine.update();
          updating.between_updates();
        }
      });
    }
    for (int i = 0; i < 2; ++i) {
      team.keep_doing([&] {
        const UpdateGate::Quiet quiet(gate);
        for (const Pair& pair : pairs) EXPECT_EQ(pair.first, pair.second);
        cuts.fetch_add(1, std::memory_order_relaxed);
      });
    }
    for (const Until going; going;) std::this_thread::yield();
  }
  EXPECT_GT(cuts.load(), 2U);
}

TEST(UpdateGate, is_reached_by_cuts_beside_updates_without_pause) {
  UpdateGate gate;
  std::atomic<std::uint64_t> updates{0};
  Team team;
  for (int i = 0; i < 2; ++i) {
    team.keep_doing([&] {  // one of them comes and goes for each update, so that some update is nearly always there
      const UpdateGate::Updating updating(gate);
      for (const Until a_while(std::chrono::milliseconds(1)); a_while;) updates.fetch_add(1, std::memory_order_relaxed);
    });
  }
  std::uint64_t cuts = 0;
  for (const Until going(far_too_long); going && cuts < enough; ++cuts) const UpdateGate::Quiet quiet(gate);
  EXPECT_EQ(cuts, enough);
  const std::uint64_t before = updates;
  for (const Until going(far_too_long); going && updates == before;) std::this_thread::yield();
  EXPECT_NE(updates, before);
}

TEST(UpdateGate, is_passed_by_updates_beside_cuts_without_pause) {
  UpdateGate gate;
  std::atomic<std::uint64_t> cuts{0};
  Team team;
  for (int i = 0; i < 2; ++i) {
    team.keep_doing([&] {  // the one asks before the other is over: there is always a Quiet, or one is wanted
      const UpdateGate::Quiet quiet(gate);
      for (const Until a_while(std::chrono::milliseconds(1)); a_while;) cuts.fetch_add(1, std::memory_order_relaxed);
    });
  }
  while (cuts == 0) std::this_thread::yield();
  std::uint64_t updates = 0;
  for (const Until going(far_too_long); going && updates < enough; ++updates) {
    const UpdateGate::Updating updating(gate);
  }
  EXPECT_EQ(updates, enough);
}

TEST(UpdateGate, is_left_by_an_update_that_throws) {
  UpdateGate gate;
  try {
    const UpdateGate::Updating updating(gate);
    throw std::runtime_error("in an update");
  } catch (const std::runtime_error&) {
  }
  const UpdateGate::Quiet quiet(gate);
}

class GatedSnapshots : public BarrierTest {};
COW_FOR_EVERY_BARRIER(GatedSnapshots);

TEST_P(GatedSnapshots, are_never_torn) {
  Arena arena = make_arena(16);
  UpdateGate gate;
  Team team;
  for (std::size_t page = 0; page < 4; page += 2) {
    team.keep_doing([&, page] {
      UpdateGate::Updating updating(gate);
      for (std::uint64_t value = 1; !team.is_stopped(); ++value) {
        store_word(page_at(arena, page), value);
        store_word(page_at(arena, page + 1), value);
        updating.between_updates();
      }
    });
  }
  std::uint64_t cuts = 0;
  for (const Until going; going; ++cuts) {
    const Snapshot snapshot = [&] {
      const UpdateGate::Quiet quiet(gate);
      return arena.snapshot();
    }();
    for (std::size_t page = 0; page < 4; page += 2) ASSERT_EQ(mark_of(snapshot, page), mark_of(snapshot, page + 1));
  }
  EXPECT_GT(cuts, 2U);
}

}  // namespace
}  // namespace cow::test

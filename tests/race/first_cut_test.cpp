// Promise: an arena is plain memory until its first cut, and that cut is as atomic as any other, beside threads that
// store to pages which nobody watches yet: each one's stores are in it up to some moment, and none after. No store that
// follows goes unseen.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t writers = 3, pages_of_each = 700;  // of the others' pages between: some extents, and part of one

/// Store number k (from 1) goes to the writer's place k, again and again from the start.
std::size_t page_of(std::size_t writer, std::uint64_t number) {
  return (number - 1) % pages_of_each * writers + writer;
}

template <class Shown>
testing::AssertionResult is_prefix(const Shown& shown, std::size_t writer) {
  std::vector<std::uint64_t> marks;
  for (std::uint64_t place = 1; place <= pages_of_each; ++place) marks.push_back(mark_of(shown, page_of(writer, place)));
  const std::uint64_t newest = *std::max_element(marks.begin(), marks.end());
  for (std::uint64_t number = newest; number != 0 && number + pages_of_each > newest; --number) {
    const std::uint64_t found = marks[(number - 1) % pages_of_each];
    if (found == number) continue;
    return testing::AssertionFailure() << "store " << newest << " of writer " << writer << " is there, but instead of "
                                       << number << " there is " << found;
  }
  return testing::AssertionSuccess();
}

class FirstCut : public BarrierTest {
 protected:
  struct Race {
    Arena arena;
    Team team;
    std::atomic<std::uint64_t> stores{0};
  };

  static void keep_storing(Race& race) {
    for (std::size_t writer = 0; writer < writers; ++writer) {
      race.team.keep_doing([&race, writer, number = std::uint64_t{0}]() mutable {
        ++number;
        store_word(page_at(race.arena, page_of(writer, number)), number);
        race.stores.fetch_add(1, std::memory_order_relaxed);
      });
    }
  }

  static void wait_for_stores(const Race& race, std::uint64_t count) {
    while (race.stores.load(std::memory_order_relaxed) < count) std::this_thread::yield();
  }
};
COW_FOR_EVERY_BARRIER(FirstCut);

TEST_P(FirstCut, beside_writers_is_a_prefix_of_each_and_no_later_store_is_missed) {
  std::uint64_t round = 0;
  for (const Until time(2 * race_time); time; ++round) {
    Race race{make_arena(writers * pages_of_each), {}, {}};
    keep_storing(race);
    wait_for_stores(race, 1 + round % 7 * 300);  // when little has memory yet, and when all has
    const Snapshot first = race.arena.snapshot();
    wait_for_stores(race, race.stores.load() + 200);
    race.team.stop();
    for (std::size_t writer = 0; writer < writers; ++writer) ASSERT_TRUE(is_prefix(first, writer)) << "round " << round;
    const Snapshot after = race.arena.snapshot();
    for (std::size_t page = 0; page < writers * pages_of_each; ++page) {
      ASSERT_EQ(mark_of(after, page), mark_of(race.arena, page)) << "page " << page << " in round " << round;
    }
    const View then = first.view();
    race.arena.rollback(first);
    for (std::size_t page = 0; page < writers * pages_of_each; ++page) {
      ASSERT_EQ(mark_of(race.arena, page), mark_of(then, page)) << "page " << page << " in round " << round;
    }
  }
  EXPECT_GT(round, 0U);
}

}  // namespace
}  // namespace cow::test

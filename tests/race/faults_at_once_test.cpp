// Race: many threads fault at once, on the same page and on different ones. Promise: no write is lost, and the
// snapshot keeps what was there before all of them.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t threads = 4;
constexpr std::uint64_t rounds = under_sanitizer ? 60 : 200;

class FaultsAtOnce : public BarrierTest {};
COW_FOR_EVERY_BARRIER(FaultsAtOnce);

// All threads are released together onto one protected page; each adds to a word of its own and to a common one.
TEST_P(FaultsAtOnce, on_the_same_page_lose_nothing) {
  Arena arena = make_arena(4);
  std::vector<Snapshot> snapshots;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    snapshots.push_back(arena.snapshot());
    Team::all_at_once(threads, [&arena](std::size_t index) {
      add_to_word(page_at(arena, 1) + 8 * (index + 1), 1);
      add_to_word(page_at(arena, 1), 1);
    });
  }
  ASSERT_EQ(mark_of(arena, 1), rounds * threads);
  for (std::size_t index = 0; index < threads; ++index)
    ASSERT_EQ(mark_of(page_at(arena, 1) + 8 * (index + 1)), rounds);
  for (std::uint64_t round = 0; round < rounds; ++round) ASSERT_EQ(mark_of(snapshots[round], 1), round * threads);
}

// The page is lent, so that whoever comes first moves it away under the others.
TEST_P(FaultsAtOnce, on_the_same_lent_page_lose_nothing) {
  Arena arena = make_arena(4);
  std::vector<View> views;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    views.push_back(arena.snapshot().view());
    Team::all_at_once(threads, [&arena](std::size_t) { add_to_word(page_at(arena, 1), 1); });
  }
  ASSERT_EQ(mark_of(arena, 1), rounds * threads);
  for (std::uint64_t round = 0; round < rounds; ++round) ASSERT_EQ(mark_of(views[round], 1), round * threads);
}

TEST_P(FaultsAtOnce, on_neighbouring_pages_lose_nothing) {
  constexpr std::size_t pages = 128;
  Arena arena = make_arena(pages);
  Snapshot previous;
  for (std::uint64_t round = 1; round <= rounds / 4; ++round) {
    const Snapshot before = arena.snapshot();
    Team::all_at_once(threads, [&arena, round](std::size_t index) {
      for (std::size_t page = index; page < pages; page += threads) store_word(page_at(arena, page), round);
    });
    for (std::size_t page = 0; page < pages; ++page) {
      ASSERT_EQ(mark_of(arena, page), round);
      ASSERT_EQ(mark_of(before, page), round - 1);
    }
    if (round % 3 == 0) previous = before;
  }
}

// A clone lends every page, and while threads write, pages move to other frames and blocks of them with them.
TEST_P(FaultsAtOnce, on_pages_that_move_lose_no_increment) {
  constexpr std::size_t pages = 96;
  Arena arena = make_arena(pages);
  std::vector<std::uint64_t> added(threads, 0);
  Team team;
  for (std::size_t index = 0; index < threads; ++index)
    team.keep_doing([&arena, &count = added[index], index] {
      for (std::size_t step = 0; step < pages; ++step) add_to_word(page_at(arena, (step * 29 + index) % pages), 1);
      count += pages;
    });
  std::uint64_t turns = 0;
  for (const Until racing; racing; ++turns) {
    const Snapshot snapshot = arena.snapshot();
    if (turns % 3 == 0) {
      const View view = snapshot.view();
      std::this_thread::yield();
    } else if (turns % 3 == 1) {
      const Arena clone = snapshot.clone();
      std::this_thread::yield();
    }
    if (turns % 4 == 2) arena.prepare_write(page_at(arena, turns % pages / 2), pages / 2 * page_size());
  }
  team.stop();
  std::uint64_t expected = 0;
  for (const std::uint64_t count : added) expected += count;
  std::uint64_t found = 0;
  for (std::size_t page = 0; page < pages; ++page) found += mark_of(arena, page);
  EXPECT_EQ(found, expected);
  EXPECT_GT(turns, 0U);
}

TEST_P(FaultsAtOnce, on_memory_never_written_lose_nothing) {
  constexpr std::size_t pages = 256;
  for (std::uint64_t round = 0; round < rounds / 10; ++round) {
    const Arena arena = make_arena(pages);
    Team::all_at_once(threads, [&arena](std::size_t index) {
      for (std::size_t page = index; page < pages; page += threads) store_word(page_at(arena, page), page + 1);
      for (std::size_t page = 0; page < pages; ++page) add_to_word(page_at(arena, page) + 8, 1);
    });
    for (std::size_t page = 0; page < pages; ++page) {
      ASSERT_EQ(mark_of(arena, page), page + 1);
      ASSERT_EQ(mark_of(page_at(arena, page) + 8), threads);
    }
  }
}

TEST_P(FaultsAtOnce, in_different_arenas_do_not_mix) {
  constexpr std::size_t pages = 64;
  Arena original = make_arena(pages);
  fill_run(original, 0, pages, 1);
  std::vector<Arena> arenas;
  const Snapshot base = original.snapshot();
  for (std::size_t index = 0; index < threads; ++index) arenas.push_back(base.clone());
  Team::all_at_once(threads, [&](std::size_t index) {
    for (std::uint64_t round = 0; round < rounds / 4; ++round) {
      for (std::size_t page = round % 3; page < pages; page += 3)
        store_word(page_at(arenas[index], page), round * 10 + index);
      const Snapshot own = arenas[index].snapshot();
      store_word(page_at(arenas[index], round % 3), 0);
      EXPECT_EQ(mark_of(own, round % 3), round * 10 + index);
      if (round % 5 == 4) {
        arenas[index].rollback(base);
        EXPECT_TRUE(shows(arenas[index], Picture(pages, 1)));
      }
    }
  });
  EXPECT_TRUE(shows(original, Picture(pages, 1)));
  EXPECT_TRUE(shows(base, Picture(pages, 1)));
}

}  // namespace
}  // namespace cow::test

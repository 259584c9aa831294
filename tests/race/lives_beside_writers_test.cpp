// Races: snapshots, clones and views that are made and dropped by some threads while others write. Promise: each
// shows its content, none disturbs another, and nothing is left behind.
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 48;

/// All pages show the same mark, or one page less for those that the writer had not reached at the cut.
template <class Shown>
testing::AssertionResult is_one_sweep(const Shown& shown) {
  std::uint64_t previous = mark_of(shown, 0);
  const std::uint64_t first = previous;
  for (std::size_t page = 1; page < pages; ++page) {
    const std::uint64_t mark = mark_of(shown, page);
    if (mark > previous || mark + 1 < first) {
      return testing::AssertionFailure() << "page " << page << " shows " << mark << " after " << previous;
    }
    previous = mark;
  }
  return testing::AssertionSuccess();
}

/// Writes its number into all pages, from the first to the last, again and again.
void sweep(const Arena& arena, std::uint64_t& number) {
  ++number;
  for (std::size_t page = 0; page < pages; ++page) store_word(page_at(arena, page), number);
}

class LivesBesideWriters : public BarrierTest {};
COW_FOR_EVERY_BARRIER(LivesBesideWriters);

TEST_P(LivesBesideWriters, snapshots_clones_and_views_by_three_threads_beside_a_writer) {
  Arena arena = make_arena(pages);
  std::uint64_t number = 0;
  std::atomic<std::uint64_t> turns{0};
  Team team;
  team.keep_doing([&] { sweep(arena, number); });
  team.keep_doing([&] {
    const View view = arena.snapshot().view();
    EXPECT_TRUE(is_one_sweep(view));
    turns.fetch_add(1);
  });
  team.keep_doing([&] {
    Arena clone = arena.clone();
    EXPECT_TRUE(is_one_sweep(clone));
    std::uint64_t own = mark_of(clone, 0);
    sweep(clone, own);
    EXPECT_TRUE(is_one_sweep(clone));
    const Snapshot of_clone = clone.snapshot();
    EXPECT_TRUE(is_one_sweep(of_clone));
    turns.fetch_add(1);
  });
  team.keep_doing([&] {
    const Snapshot older = arena.snapshot();
    const Snapshot newer = arena.snapshot();
    EXPECT_TRUE(is_one_sweep(older));
    EXPECT_GE(mark_of(newer, pages - 1), mark_of(older, pages - 1));
    turns.fetch_add(1);
  });
  for (const Until racing; racing || turns.load() < 30;) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  team.stop();
  const ArenaStats stats = arena.stats();
  EXPECT_EQ(stats.snapshots_alive, 0U);
  EXPECT_EQ(stats.history_frames_used, 0U);
  EXPECT_EQ(stats.loose_frames, 0U);
  EXPECT_EQ(stats.file_frames_used, pages);
}

TEST_P(LivesBesideWriters, a_clone_is_made_while_another_thread_drops_the_snapshot) {
  Arena arena = make_arena(pages);
  std::uint64_t number = 0;
  sweep(arena, number);
  for (const Until racing; racing;) {
    Snapshot kept = arena.snapshot();
    Snapshot dropped = kept;
    const std::uint64_t expected = mark_of(kept, 0);
    Team::all_at_once(3, [&](std::size_t index) {
      if (index == 0) {
        const Arena clone = std::exchange(kept, Snapshot()).clone();
        for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(clone, page), expected);
      } else if (index == 1) {
        dropped = Snapshot();
      } else {
        sweep(arena, number);
      }
    });
    ASSERT_EQ(arena.stats().snapshots_alive, 0U);
  }
}

TEST_P(LivesBesideWriters, the_same_snapshot_is_cloned_viewed_and_read_by_all_threads_at_once) {
  Arena arena = make_arena(pages);
  std::uint64_t number = 0;
  Snapshot snapshot;
  for (const Until racing; racing;) {
    sweep(arena, number);
    snapshot = arena.snapshot();
    const std::uint64_t expected = number;
    Team::all_at_once(4, [&](std::size_t index) {
      const Snapshot mine = snapshot;
      if (index == 0) sweep(arena, number);
      if (index == 1) {
        const View view = mine.view();
        for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(view, page), expected);
      }
      if (index == 2) {
        Arena clone = mine.clone();
        for (std::size_t page = 0; page < pages; ++page) store_word(page_at(clone, page), mark_of(clone, page) + 1);
        for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(clone, page), expected + 1);
      }
      if (index == 3) {
        for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(mine, page), expected);
      }
    });
  }
}

TEST_P(LivesBesideWriters, handles_dropped_by_many_threads_free_every_frame) {
  Arena arena = make_arena(pages);
  std::uint64_t number = 0;
  for (const Until racing; racing;) {
    std::vector<Snapshot> handles;
    for (int step = 0; step < 12; ++step) {
      sweep(arena, number);
      handles.push_back(arena.snapshot());
    }
    Team::all_at_once(4, [&](std::size_t index) {
      if (index == 3) return sweep(arena, number);
      for (std::size_t i = index; i < handles.size(); i += 3) handles[i] = Snapshot();
    });
    ASSERT_EQ(arena.stats().history_frames_used, 0U);
    ASSERT_EQ(arena.stats().snapshots_alive, 0U);
  }
}

TEST_P(LivesBesideWriters, arenas_come_and_go_while_another_one_faults) {
  Arena steady = make_arena(pages);
  std::uint64_t number = 0;
  Team team;
  team.keep_doing([&] {
    const Snapshot snapshot = steady.snapshot();
    sweep(steady, number);
    EXPECT_EQ(mark_of(snapshot, pages - 1), number - 1);
  });
  for (int thread = 0; thread < 2; ++thread)
    team.keep_doing([&] {
      Arena passing = make_arena(pages);
      std::uint64_t own = 0;
      sweep(passing, own);
      const Arena clone = passing.clone();
      sweep(passing, own);
      EXPECT_EQ(mark_of(clone, pages / 2), 1U);
    });
  for (const Until racing; racing;) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  team.stop();
  EXPECT_TRUE(is_one_sweep(steady));
}

TEST_P(LivesBesideWriters, a_snapshot_is_used_while_its_arena_goes_away) {
  for (const Until racing; racing;) {
    std::vector<Arena> arena;
    arena.push_back(make_arena(pages));
    std::uint64_t number = 0;
    sweep(arena[0], number);
    const Snapshot snapshot = arena[0].snapshot();
    const Snapshot second = snapshot;
    sweep(arena[0], number);
    Team::all_at_once(3, [&](std::size_t index) {
      if (index == 0) arena.clear();
      if (index == 1) {
        for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(snapshot, page), 1U);
      }
      if (index == 2) {
        const Arena clone = second.clone();
        for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(clone, page), 1U);
      }
    });
  }
}

TEST_P(LivesBesideWriters, an_arena_and_its_clones_go_away_in_different_threads) {
  const std::uint64_t before = memory_file_bytes();
  for (const Until racing; racing;) {
    std::vector<Arena> family;
    family.push_back(make_arena(pages));
    std::uint64_t number = 0;
    sweep(family[0], number);
    for (std::size_t i = 0; i < 3; ++i) family.push_back(family[i].clone());
    Team::all_at_once(4, [&](std::size_t index) {
      std::uint64_t own = index * 100;
      sweep(family[index], own);
      EXPECT_TRUE(is_one_sweep(family[index]));
      const Arena mine = std::move(family[index]);
    });
  }
  EXPECT_EQ(memory_file_bytes(), before);
}

// Asking and preparing beside writers change no content.
TEST_P(LivesBesideWriters, questions_and_prepared_writes_beside_a_writer) {
  Arena arena = make_arena(pages);
  std::uint64_t number = 0;
  Team team;
  team.keep_doing([&] { sweep(arena, number); });
  team.keep_doing([&] { arena.prepare_write(page_at(arena, 3), (pages - 5) * page_size()); });
  for (const Until racing; racing;) {
    const Snapshot snapshot = arena.snapshot();
    ASSERT_LE(arena.changed_since(snapshot).size(), pages);
    const ArenaStats stats = arena.stats();
    ASSERT_LE(stats.pages_writable, pages);
    ASSERT_EQ(stats.snapshots_alive, 1U);
    ASSERT_TRUE(is_one_sweep(snapshot));
  }
  team.stop();
  EXPECT_TRUE(is_one_sweep(arena));
}

// Each copies its recurring pages ahead into the history that they share.
TEST_P(LivesBesideWriters, clones_with_one_writer_each_share_their_history) {
  ArenaOptions options = options_for(GetParam(), 6000);
  options.single_writer = true;
  Arena arena(options);
  for (std::size_t page = 0; page < 6000; ++page) put_mark(arena, page, 1);
  Arena clone = arena.clone();
  Arena* const both[] = {&arena, &clone};
  const std::uint64_t intervals = under_sanitizer ? 60 : 600;
  Team::all_at_once(2, [&](std::size_t index) {
    std::vector<Snapshot> kept;
    for (std::uint64_t i = 2; i < intervals; ++i) {
      for (std::size_t page = 0; page < 1000; ++page) put_mark(*both[index], 2000 * index + page, i);
      kept.push_back(both[index]->snapshot());
      for (std::size_t back = 0; back < kept.size(); ++back) {
        ASSERT_EQ(mark_of(kept[back], 2000 * index + i % 1000), i + 1 - kept.size() + back);
      }
      if (kept.size() > 6 - 3 * index) kept.clear();
    }
  });
}

// What is stored while the pages are discarded is either gone or there, for the arena and its snapshots alike.
TEST_P(LivesBesideWriters, stores_beside_discard_are_in_the_arena_and_its_snapshot_or_in_neither) {
  constexpr std::size_t discarded = 256;
  Arena arena = make_arena(discarded);
  std::uint64_t round = 1;
  for (const Until racing; racing; ++round) {
    for (std::size_t page = 0; page < discarded; ++page) store_word(page_at(arena, page), 1);
    Team::all_at_once(2, [&](std::size_t index) {
      if (index == 0) return arena.discard(arena.data(), arena.capacity());
      for (std::size_t i = 0; i < discarded; ++i) store_word(page_at(arena, i * 97 % discarded), round + 1);
    });
    const View view = arena.snapshot().view();
    for (std::size_t page = 0; page < discarded; ++page) {
      ASSERT_EQ(mark_of(view, page), mark_of(arena, page)) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace cow::test

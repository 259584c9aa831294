// Promise: excluded pages are right across fork(), while the barrier changes, under the fault profile, and near the
// mapping budget.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "books/arena_books.hpp"
#include "cow/cow.hpp"
#include "fork/pair.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class ExcludedElsewhere : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ExcludedElsewhere);

void exclude(Arena& arena, std::size_t first, std::size_t count) {
  arena.exclude(page_at(arena, first), count * page_size());
}

TEST_P(ExcludedElsewhere, a_fork_child_has_its_own_copy_of_the_moment) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 40, 1);
  exclude(painted.arena(), 8, 4);
  exclude(painted.arena(), 40, 24);
  const Snapshot kept = painted.arena().snapshot();
  painted.paint_run(6, 10, 2);
  painted.paint(63, 3);
  Pair pair([&](Turn& turn) {
    if (!painted.is_right()) return 1;
    turn.wait();  // for the parent to write
    if (!painted.is_right()) return 2;
    painted.paint_run(0, 64, 5);
    return painted.is_right() ? 0 : 3;
  });
  const Picture at_the_fork = painted.picture();
  painted.paint_run(4, 10, 7);
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
  painted.arena().rollback(kept);
  EXPECT_EQ(mark_of(painted.arena(), 9), 7U);
  EXPECT_EQ(mark_of(painted.arena(), 63), 3U);
  EXPECT_EQ(mark_of(painted.arena(), 12), 1U);
}

TEST_P(ExcludedElsewhere, a_child_of_a_clone_that_inherits_has_its_copy_too) {
  Arena arena = make_arena(32);
  exclude(arena, 0, 2);
  exclude(arena, 30, 2);
  fill_run(arena, 0, 32, 1);
  Painted clone(arena.clone(), Picture(32, 1));
  clone.paint_run(0, 32, 4);
  Pair pair([&] { return clone.is_right() ? 0 : 1; });
  EXPECT_EQ(pair.finish(), 0);
}

/// The content and what versions show, whatever the barrier has become.
void expect_right(Painted& painted, const Snapshot& kept, const Picture& then) {
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(kept, then));
  const Snapshot now = painted.arena().snapshot();
  painted.paint_run(10, 4, mark_of(painted.arena(), 10) + 1);
  painted.paint(20, mark_of(painted.arena(), 20) + 1);
  EXPECT_TRUE(painted.is_right());
  painted.arena().rollback(now);
  Picture back = painted.picture();
  --back[20];
  painted.set_picture(back);
  EXPECT_TRUE(painted.is_right()) << "excluded pages stay, others go back";
}

TEST_P(ExcludedElsewhere, changes_of_the_barrier_leave_them_alone) {
  Painted painted(make_arena(1024));
  painted.paint_run(0, 40, 1);
  painted.paint_run(600, 40, 2);
  const Snapshot older = painted.arena().snapshot();
  exclude(painted.arena(), 10, 4);
  exclude(painted.arena(), 500, 30);  // over the end of an extent
  painted.paint_run(500, 30, 3);
  painted.paint_run(8, 8, 4);
  Picture then = painted.picture();
  const Snapshot kept = painted.arena().snapshot();
  for (std::size_t page = 0; page < 1024; ++page) {
    if ((page >= 10 && page < 14) || (page >= 500 && page < 530)) then[page] = 0;
  }
  for (int round = 0; round < 2; ++round) {
    start_fault_profile({.every = 1});
    expect_right(painted, kept, then);
    exclude(painted.arena(), 300 + 10 * static_cast<std::size_t>(round), 3);
    stop_fault_profile();
    expect_right(painted, kept, then);
    expect_right(painted, kept, then);
  }
  EXPECT_EQ(painted.arena().barrier(), GetParam());
}

TEST_P(ExcludedElsewhere, a_cut_that_is_not_quiet_finds_them_writable) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 64, 1);
  exclude(painted.arena(), 10, 4);
  const Snapshot first = painted.arena().snapshot();
  painted.paint_run(8, 8, 2);
  std::thread([] {}).join();  // from here on the process has had threads
  Picture then = painted.picture();
  const Snapshot second = painted.arena().snapshot();
  for (std::size_t page = 10; page < 14; ++page) then[page] = 0;
  expect_right(painted, second, then);
  const ArenaStats before = painted.arena().stats();
  painted.paint_run(10, 4, 9);
  EXPECT_EQ(painted.arena().stats().since(before).faults(), 0U);
}

TEST_P(ExcludedElsewhere, saving_mappings_goes_round_them) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  const std::uint64_t limit = MappingBudget::limit();
  Painted painted(make_arena(1024));
  painted.paint_run(0, 1024, 1);
  const Snapshot kept = painted.arena().snapshot();
  const Picture then = painted.picture();
  for (std::size_t page = 5; page < 1000; page += 100) exclude(painted.arena(), page, 2);
  const Arena clone = painted.arena().clone();  // what is written from here on moves
  MappingBudget::set_limit(MappingBudget::used + 4);
  for (std::size_t page = 0; page < 1024; page += 3) painted.paint(page, 2);
  for (std::size_t page = 1; page < 1024; page += 7) painted.paint(page, 3);
  MappingBudget::set_limit(limit);
  EXPECT_TRUE(painted.is_right());
  Picture expected = then;
  for (std::size_t page = 5; page < 1000; page += 100) {
    for (std::size_t q = page; q < page + 2; ++q) expected[q] = painted.picture()[q];
  }
  painted.arena().rollback(kept);
  EXPECT_TRUE(shows(painted.arena(), expected));
}

TEST_P(ExcludedElsewhere, pages_written_in_every_interval_may_be_excluded) {
  Arena arena = make_arena(32);
  fill_run(arena, 0, 32, 1);
  std::vector<Snapshot> kept;
  for (std::uint64_t round = 2; round < 30; ++round) {
    for (const std::size_t page : {3U, 4U, 9U}) fill(arena, page, round);
    if (round == 15) exclude(arena, 3, 1);
    kept.push_back(arena.snapshot());
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(mark_of(kept[i], 4), i + 2);
    EXPECT_EQ(mark_of(kept[i], 3), i + 2 < 15 ? i + 2 : 0);
  }
  arena.rollback(kept.front());
  EXPECT_EQ(mark_of(arena, 3), 29U);
  EXPECT_EQ(mark_of(arena, 9), 2U);
}

TEST_P(ExcludedElsewhere, excluded_pages_are_counted_as_mappings_no_lower_than_the_kernel_does) {
  Arena arena = make_arena(4096);
  fill_run(arena, 0, 4096, 1);
  for (std::size_t page = 7; page < 4000; page += 400) exclude(arena, page, 3), exclude(arena, page + 3, 2);
  std::vector<Snapshot> kept;
  for (std::size_t round = 0; round < 4; ++round) {
    for (std::size_t page = round; page < 4096; page += 300) put_mark(arena, page, round);
    kept.push_back(arena.snapshot());
    std::size_t seen = 0;
    std::FILE* const maps = std::fopen("/proc/self/maps", "r");
    ASSERT_NE(maps, nullptr);
    unsigned long begin = 0, end = 0;
    char rest[512];
    const auto from = reinterpret_cast<unsigned long>(arena.data());
    while (std::fscanf(maps, "%lx-%lx%511[^\n]", &begin, &end, rest) == 3) {
      if (begin >= from && end <= from + arena.capacity()) ++seen;
    }
    std::fclose(maps);
    EXPECT_LE(seen, arena.stats().mappings) << "round " << round;
  }
}

}  // namespace
}  // namespace cow::test

// Promise: loops that go on for ever stay flat in frames, books, mappings and memory.
#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 128;
constexpr std::uint64_t rounds = under_sanitizer ? 300 : 1000;
constexpr std::uint64_t warm_up = 50;  // rounds after which nothing may grow any more

struct Footprint {
  ArenaStats stats;
  std::size_t kernel_mappings = 0;
  std::uint64_t file_bytes = 0;
};

Footprint footprint_of(const Arena& arena) { return {arena.stats(), mapping_count(), memory_file_bytes()}; }

void expect_flat(const Footprint& early, const Footprint& late) {
  EXPECT_LE(late.stats.file_frames_used, early.stats.file_frames_used + pages);
  EXPECT_LE(late.stats.history_frames_used, early.stats.history_frames_used + pages / 2);
  EXPECT_LE(late.stats.history_frames_free, early.stats.history_frames_free + pages);
  EXPECT_LE(late.stats.loose_frames, early.stats.loose_frames + pages / 2);
  EXPECT_LE(late.stats.bookkeeping_bytes, early.stats.bookkeeping_bytes + 64 * 1024);
  EXPECT_LE(late.stats.mappings, early.stats.mappings + pages);
  EXPECT_LE(late.kernel_mappings, early.kernel_mappings + pages);
  EXPECT_LE(late.file_bytes, early.file_bytes + 2 * pages * page_size());
}

class SteadyState : public BarrierTest {};
COW_FOR_EVERY_BARRIER(SteadyState);

// All but every tenth page is rewritten in each round; which ones are left out changes.
TEST_P(SteadyState, an_arena_that_replaces_itself_by_its_clone_stays_flat) {
  Arena arena = make_arena(pages);
  Picture picture(pages, 0);
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    for (std::size_t page = 0; page < pages; ++page) {
      if ((page + round) % 10 == 0) continue;
      put_mark(arena, page, round);
      picture[page] = round;
    }
    arena = arena.clone();
    for (std::size_t page = 0; page < pages; page += 7) ASSERT_EQ(mark_of(arena, page), picture[page]);
    if (round == warm_up) early = footprint_of(arena);
  }
  for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(arena, page), picture[page]);
  expect_flat(early, footprint_of(arena));
}

// Some pages are written once and then handed down through every generation.
TEST_P(SteadyState, pages_borrowed_through_a_thousand_generations_do_not_pile_up) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 5);
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    for (std::size_t page = 0; page < pages; page += 2) put_mark(arena, page, round);
    arena = arena.clone();
    if (round == warm_up) early = footprint_of(arena);
  }
  for (std::size_t page = 1; page < pages; page += 2) ASSERT_TRUE(filled(page_at(arena, page), 5));
  for (std::size_t page = 0; page < pages; page += 2) ASSERT_EQ(mark_of(arena, page), rounds);
  expect_flat(early, footprint_of(arena));
}

TEST_P(SteadyState, a_ring_of_the_last_ten_snapshots_stays_flat) {
  Arena arena = make_arena(pages);
  std::vector<Snapshot> ring(10);
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    for (std::size_t page = round % 3; page < pages; page += 3) put_mark(arena, page, round);
    ring[round % ring.size()] = arena.snapshot();
    if (round == warm_up) early = footprint_of(arena);
  }
  expect_flat(early, footprint_of(arena));
  ring.clear();
  EXPECT_EQ(arena.stats().history_frames_used, 0U);
}

TEST_P(SteadyState, one_kept_snapshot_beside_many_that_come_and_go_stays_flat) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 9);
  const Snapshot kept = arena.snapshot();
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    const Snapshot passing = arena.snapshot();
    for (std::size_t page = round % 5; page < pages; page += 5) put_mark(arena, page, round);
    if (round == warm_up) early = footprint_of(arena);
  }
  expect_flat(early, footprint_of(arena));
  EXPECT_TRUE(shows(kept, Picture(pages, 9)));
}

TEST_P(SteadyState, a_rollback_loop_stays_flat) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 9);
  const Snapshot start = arena.snapshot();
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    for (std::size_t page = round % 4; page < pages; page += 4) put_mark(arena, page, round);
    arena.rollback(start);
    if (round == warm_up) early = footprint_of(arena);
  }
  expect_flat(early, footprint_of(arena));
  EXPECT_TRUE(shows(arena, Picture(pages, 9)));
}

TEST_P(SteadyState, clones_and_views_that_come_and_go_stay_flat) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 9);
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    Arena clone = arena.clone();
    const View view = clone.snapshot().view();
    for (std::size_t page = round % 4; page < pages; page += 4) {
      put_mark(arena, page, round);
      put_mark(clone, page, round + 1);
    }
    ASSERT_NE(mark_of(view, round % 4), round + 1);
    if (round == warm_up) early = footprint_of(arena);
  }
  expect_flat(early, footprint_of(arena));
}

// Pages that moved away from home while they were lent must not spread out for ever.
TEST_P(SteadyState, an_arena_under_an_always_open_view_stays_flat) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 9);
  View view;
  Footprint early;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    view = arena.snapshot().view();
    for (std::size_t page = round % 2; page < pages; page += 2) put_mark(arena, page, round);
    if (round == warm_up) early = footprint_of(arena);
  }
  expect_flat(early, footprint_of(arena));
}

}  // namespace
}  // namespace cow::test

// Promise: an arena's name is in /proc/self/maps, and what it counts about itself is true.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

class NamesAndNumbers : public BarrierTest {};
COW_FOR_EVERY_BARRIER(NamesAndNumbers);

bool is_named(const Arena& arena, const std::string& name) {
  for (const Mapping& mapping : mappings_of(arena.data(), arena.capacity()))
    if (mapping.line.find(name) == std::string::npos) return false;
  return true;
}

TEST_P(NamesAndNumbers, the_name_is_shown_in_the_maps) {
  Arena arena = make_arena(16, "ledger");
  fill_run(arena, 0, 8, 1);
  EXPECT_TRUE(is_named(arena, "ledger"));
  const Arena clone = arena.clone();
  EXPECT_TRUE(is_named(clone, "ledger"));
}

TEST_P(NamesAndNumbers, names_can_be_empty_or_long) {
  Arena nameless = make_arena(4, "");
  fill(nameless, 0, 1);
  EXPECT_TRUE(shows(nameless, {1, 0, 0, 0}));
  // The kernel takes 249 bytes for a memory file: longer names are cut or refused with a clear error, never ignored.
  try {
    Arena arena = make_arena(4, std::string(1000, 'n'));
    fill(arena, 0, 1);
    EXPECT_TRUE(shows(arena, {1, 0, 0, 0}));
    EXPECT_TRUE(is_named(arena, "nnnnnnnn"));
  } catch (const std::invalid_argument&) {
  }
}

TEST_P(NamesAndNumbers, the_mappings_counted_are_those_of_the_kernel) {
  Arena arena = make_arena(256);
  fill_run(arena, 0, 256, 1);
  EXPECT_EQ(arena.stats().mappings, mappings_of(arena.data(), arena.capacity()).size());
  const Snapshot snapshot = arena.snapshot();
  EXPECT_EQ(arena.stats().mappings, mappings_of(arena.data(), arena.capacity()).size());
  for (const std::size_t page : {3U, 50U, 51U, 120U, 255U}) put_mark(arena, page, 2);
  EXPECT_EQ(arena.stats().mappings, mappings_of(arena.data(), arena.capacity()).size());
  Arena clone = arena.clone();
  for (const std::size_t page : {0U, 50U, 52U, 200U}) {
    put_mark(arena, page, 3);
    put_mark(clone, page + 1, 4);
  }
  EXPECT_EQ(arena.stats().mappings, mappings_of(arena.data(), arena.capacity()).size());
  EXPECT_EQ(clone.stats().mappings, mappings_of(clone.data(), clone.capacity()).size());
}

TEST_P(NamesAndNumbers, an_arena_at_home_is_one_mapping_when_few_pages_are_written) {
  Arena arena = make_arena(256);
  fill_run(arena, 0, 256, 1);
  const Snapshot first = arena.snapshot();
  for (std::size_t page = 0; page < 256; page += 3) put_mark(arena, page, 2);
  // Pages that are written again and again may be left writable for a while: not when that has ended.
  std::vector<Snapshot> later;
  for (std::uint64_t round = 0; round < 8; ++round) {
    put_mark(arena, 0, 3 + round);
    later.push_back(arena.snapshot());
  }
  EXPECT_LE(mappings_of(arena.data(), arena.capacity()).size(), 3U);
}

TEST_P(NamesAndNumbers, faults_and_pages_are_counted_by_what_they_needed) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  { const Snapshot first = arena.snapshot(); }  // before that nothing is caught
  fill_run(arena, 0, 64, 1);
  ArenaStats stats = arena.stats();
  EXPECT_GE(stats.faults_first_touch, 1U);
  EXPECT_EQ(stats.pages_first_touched, 64U);
  EXPECT_EQ(stats.bytes_copied, 0U);
  {
    const Snapshot snapshot = arena.snapshot();
    fill_run(arena, 0, 16, 2);
    stats = arena.stats();
    EXPECT_EQ(stats.bytes_copied, stats.pages_to_history * page_size());
    EXPECT_GE(stats.pages_to_history, 16U);
    EXPECT_GE(stats.faults_to_history, 1U);
    EXPECT_EQ(stats.history_frames_used, stats.pages_to_history);
  }
  const std::uint64_t copied = arena.stats().bytes_copied;
  fill_run(arena, 16, 48, 3);
  stats = arena.stats();
  EXPECT_EQ(stats.bytes_copied, copied);
  EXPECT_GE(stats.faults_sole_owner, 1U);
}

TEST_P(NamesAndNumbers, pages_that_move_away_from_a_clone_are_counted) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Arena clone = arena.clone();
  fill_run(arena, 0, 4, 4);
  const ArenaStats stats = arena.stats();
  EXPECT_GE(stats.faults_moved, 1U);
  EXPECT_GE(stats.pages_moved, 4U);
  EXPECT_GE(stats.bytes_copied, 4 * page_size());
  EXPECT_EQ(clone.stats().bytes_copied, 0U);
}

TEST_P(NamesAndNumbers, levels_are_those_of_now) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  ArenaStats stats = arena.stats();
  EXPECT_EQ(stats.pages_private, 0U);
  EXPECT_EQ(stats.pages_borrowed, 0U);
  EXPECT_EQ(stats.snapshots_alive, 0U);
  EXPECT_EQ(stats.file_frames_used, 0U);
  EXPECT_GE(stats.mappings, 1U);
  EXPECT_GE(stats.process_mappings, stats.mappings);
  EXPECT_GT(stats.process_mapping_budget, 0U);
  fill_run(arena, 0, 64, 1);
  stats = arena.stats();
  EXPECT_EQ(stats.pages_private, 64U);
  EXPECT_EQ(stats.pages_writable, 64U);
  EXPECT_EQ(stats.file_frames_used, 64U);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_EQ(arena.stats().pages_writable, 0U);
  EXPECT_GT(arena.stats().epoch, stats.epoch);
  Arena clone = snapshot.clone();
  EXPECT_EQ(clone.stats().pages_borrowed, 64U);
  EXPECT_EQ(clone.stats().pages_private, 0U);
  fill(clone, 5, 2);
  const ArenaStats of_clone = clone.stats();
  EXPECT_EQ(of_clone.pages_borrowed + of_clone.pages_private, 64U);
  EXPECT_GE(of_clone.pages_private, 1U);
  EXPECT_EQ(of_clone.file_frames_used, 64U + of_clone.pages_private);
}

TEST_P(NamesAndNumbers, frames_that_only_clones_borrow_are_called_loose) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  std::vector<Arena> original;
  original.push_back(make_arena(64));
  fill_run(original[0], 0, 64, 1);
  Arena clone = original[0].clone();
  EXPECT_EQ(clone.stats().loose_frames, 0U);
  original.clear();
  EXPECT_EQ(clone.stats().loose_frames, 64U);
  EXPECT_EQ(clone.stats().file_frames_used, 64U);
  fill_run(clone, 0, 64, 2);
  EXPECT_EQ(clone.stats().loose_frames, 0U);
  EXPECT_EQ(clone.stats().file_frames_used, 64U);
}

}  // namespace
}  // namespace cow::test

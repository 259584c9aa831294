// Promise: write() leaves what memcpy() would, in every state that a page can be in, and everyone else keeps what they
// had; no page is opened for it, and no fault taken.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class KnownWrite : public BarrierTest {};
COW_FOR_EVERY_BARRIER(KnownWrite);

Bytes content_of(const Arena& arena) { return Bytes(arena.data(), arena.data() + arena.capacity()); }
Bytes content_of(const Snapshot& snapshot) {
  Bytes bytes(snapshot.capacity());
  snapshot.read(0, bytes);
  return bytes;
}

/// Within a page, to and over its borders, and over many pages.
std::vector<std::pair<std::size_t, std::size_t>> offsets_and_sizes() {
  const std::size_t page = page_size();
  return {{0, 1},       {page - 1, 1},   {3 * page + 5, 8},         {page - 3, 7},      {2 * page, page},
          {page - 1, 2}, {5 * page + 1, page}, {4 * page - 1, page + 2}, {7, 20 * page + 9}, {32 * page - 5, 5}};
}

TEST_P(KnownWrite, leaves_what_memcpy_would_and_all_snapshots_alone) {
  Arena arena = make_arena(32);
  fill_run(arena, 0, 20, 1);
  Bytes expected = content_of(arena);
  std::vector<std::pair<Snapshot, Bytes>> kept;
  for (int round = 0; round < 3; ++round) {
    for (const auto& [offset, size] : offsets_and_sizes()) {
      kept.emplace_back(arena.snapshot(), expected);
      const Bytes bytes = noise(size, kept.size());
      arena.write(arena.data() + offset, bytes.data(), size);
      std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
      ASSERT_EQ(content_of(arena), expected) << size << " bytes at " << offset;
    }
  }
  for (std::size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(content_of(kept[i].first), kept[i].second) << i;
  arena.rollback(kept[5].first);
  EXPECT_EQ(content_of(arena), kept[5].second);
}

TEST_P(KnownWrite, takes_no_fault_and_opens_no_page) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  const Snapshot snapshot = arena.snapshot();
  const ArenaStats before = arena.stats();
  for (std::size_t page = 0; page < 64; page += 3) write_page(arena, page, 2);
  const ArenaStats after = arena.stats();
  EXPECT_EQ(after.since(before).faults(), 0U);
  EXPECT_EQ(after.pages_writable, 0U);
  EXPECT_EQ(after.mappings, before.mappings);
  for (std::size_t page = 0; page < 64; ++page) {
    EXPECT_FALSE(arena.ref().is_writable(page_at(arena, page))) << page;
    EXPECT_TRUE(filled(page_at(arena, page), page % 3 == 0 ? 2 : page < 32 ? 1 : 0)) << page;
  }
}

TEST_P(KnownWrite, leaves_the_page_protected_for_the_plain_store_that_follows) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot first = painted.arena().snapshot();
  write_page(painted, 3, 2);
  const ArenaStats before = painted.arena().stats();
  painted.paint(3, 3);
  EXPECT_EQ(painted.arena().stats().since(before).faults(), 1U);
  EXPECT_TRUE(painted.is_right());
  write_page(painted, 4, 2);
  const Picture then = painted.picture();
  const Snapshot second = painted.arena().snapshot();
  painted.paint_run(2, 4, 4);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(second, then));
  EXPECT_TRUE(shows(first, Picture(8, 1)));
}

TEST_P(KnownWrite, copies_a_page_once_for_each_snapshot) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  for (int round = 1; round < 4; ++round) {
    const Snapshot snapshot = arena.snapshot();
    const ArenaStats before = arena.stats();
    for (std::uint64_t value = 10; value < 20; ++value) write_page(arena, 5, value);
    EXPECT_EQ(arena.stats().since(before).pages_to_history, 1U);
    EXPECT_EQ(arena.stats().history_frames_used, 1U);
  }
}

TEST_P(KnownWrite, into_never_written_memory_leaves_zero_around_it) {
  Arena arena = make_arena(64);
  const Snapshot nothing = arena.snapshot();
  const std::uint64_t word = 7;
  arena.write(page_at(arena, 40) + 80, &word, sizeof word);
  Bytes expected(arena.capacity());
  std::memcpy(expected.data() + 40 * page_size() + 80, &word, sizeof word);
  EXPECT_EQ(content_of(arena), expected);
  EXPECT_EQ(arena.stats().pages_private, 1U);
  const Snapshot something = arena.snapshot();
  put_mark(arena, 40, 5);
  EXPECT_EQ(content_of(something), expected);
  EXPECT_EQ(content_of(nothing), Bytes(arena.capacity()));
  arena.rollback(nothing);
  EXPECT_EQ(content_of(arena), Bytes(arena.capacity()));
}

TEST_P(KnownWrite, into_discarded_memory_leaves_zero_around_it) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  const Snapshot full = arena.snapshot();
  arena.discard(page_at(arena, 2), 4 * page_size());
  const std::uint64_t word = 7;
  arena.write(page_at(arena, 3) + 8, &word, sizeof word);  // in the interval of the discard
  const Snapshot first = arena.snapshot();
  arena.write(page_at(arena, 4) + 8, &word, sizeof word);  // and after it
  EXPECT_TRUE(shows(full, Picture(8, 1)));
  for (const std::size_t page : {3U, 4U}) {
    EXPECT_EQ(mark_of(arena, page), 0U);
    EXPECT_EQ(mark_of(page_at(arena, page) + 8), 7U);
    EXPECT_EQ(mark_of(page_at(arena, page) + 16), 0U);
  }
  EXPECT_TRUE(filled(content_of(first).data() + 4 * page_size(), 0));
  EXPECT_TRUE(filled(page_at(arena, 5), 0));
}

TEST_P(KnownWrite, into_a_borrowed_page_of_a_clone_leaves_its_base_alone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 6, 1);
  const Snapshot base = painted.arena().snapshot();
  Painted clone(base.clone(), painted.picture()), sibling(base.clone(), painted.picture());
  write_page(clone, 2, 2);
  write_page(clone, 7, 2);  // never written by anyone
  const Picture then = clone.picture();
  const Snapshot of_clone = clone.arena().snapshot();
  write_page(clone, 2, 3);
  write_page(clone, 3, 3);
  for (Painted* each : {&painted, &sibling, &clone}) EXPECT_TRUE(each->is_right());
  EXPECT_TRUE(shows(base, painted.picture()));
  EXPECT_TRUE(shows(of_clone, then));
  clone.arena().rollback(base);
  EXPECT_TRUE(shows(clone.arena(), painted.picture()));
}

TEST_P(KnownWrite, into_a_page_that_a_clone_shows_leaves_the_clone_alone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot base = painted.arena().snapshot();
  Painted clone(base.clone(), painted.picture());
  write_page(painted, 2, 2);
  write_page(painted, 2, 3);
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(painted.is_right());
  write_page(clone, 2, 4);
  write_page(clone, 3, 4);
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(base, Picture(8, 1)));
}

TEST_P(KnownWrite, into_a_page_that_a_view_shows_leaves_the_view_alone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  std::optional<View> view = painted.arena().snapshot().view();
  write_page(painted, 2, 2);
  painted.paint(3, 2);
  const Picture then = painted.picture();
  const View second = painted.arena().snapshot().view();
  write_page(painted, 2, 3);  // away from home by now
  write_page(painted, 3, 3);
  write_page(painted, 4, 3);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(*view, Picture(8, 1)));
  EXPECT_TRUE(shows(second, then));
  view.reset();
  write_page(painted, 2, 4);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(second, then));
}

TEST_P(KnownWrite, that_a_view_is_opened_of_stays_as_it_was_then) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot before = painted.arena().snapshot();
  write_page(painted, 2, 2);
  const Picture then = painted.picture();
  const View view = painted.arena().snapshot().view();
  write_page(painted, 2, 3);
  painted.paint(2, 4);
  EXPECT_TRUE(shows(view, then));
  EXPECT_TRUE(shows(before, Picture(8, 1)));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(KnownWrite, to_a_sole_owner_copies_nothing) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  (void)painted.arena().snapshot();
  const ArenaStats before = painted.arena().stats();
  for (std::uint64_t value = 2; value < 5; ++value) write_page(painted, 3, value);
  EXPECT_EQ(painted.arena().stats().since(before).bytes_copied, 0U);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(KnownWrite, to_pages_that_were_opened_before_leaves_them_open) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 8, 1);
  const Snapshot first = painted.arena().snapshot();
  painted.paint(2, 2);
  painted.arena().prepare_write(page_at(painted.arena(), 3), page_size());
  painted.arena().prepare_write(page_at(painted.arena(), 12), page_size());
  for (const std::size_t page : {2U, 3U, 12U}) write_page(painted, page, 3);
  EXPECT_TRUE(painted.arena().ref().is_writable(page_at(painted.arena(), 2)));
  EXPECT_TRUE(painted.is_right());
  const Picture then = painted.picture();
  const Snapshot second = painted.arena().snapshot();
  for (const std::size_t page : {2U, 3U, 12U}) painted.paint(page, 4);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(second, then));
  Picture at_first(16, 0);
  std::fill_n(at_first.begin(), 8, 1);
  EXPECT_TRUE(shows(first, at_first));
}

// Pages that are written in each interval stay writable and are copied ahead.
TEST_P(KnownWrite, to_pages_that_stay_writable_is_in_the_snapshots) {
  ArenaOptions options = options_for(GetParam(), 16);
  options.single_writer = true;
  Painted painted{Arena(options)};
  std::vector<std::pair<Snapshot, Picture>> kept;
  for (std::uint64_t round = 1; round < 24; ++round) {
    for (std::size_t page = 0; page < 4; ++page) {
      if (round < 12 || (page + round) % 3 == 0) painted.paint(page, 2 * round);
      if ((page + round) % 4 == 1) write_page(painted, page, 2 * round + 1);
    }
    kept.emplace_back(painted.arena().snapshot(), painted.picture());
  }
  EXPECT_TRUE(painted.is_right());
  for (const auto& [snapshot, picture] : kept) ASSERT_TRUE(shows(snapshot, picture));
}

TEST_P(KnownWrite, after_a_rollback_and_before_another) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 6, 1);
  const Picture then = painted.picture();
  const Snapshot first = painted.arena().snapshot();
  write_page(painted, 1, 2);
  write_page(painted, 7, 2);
  const Picture between = painted.picture();
  const Snapshot second = painted.arena().snapshot();
  painted.arena().rollback(first);
  painted.set_picture(then);
  EXPECT_TRUE(painted.is_right());
  write_page(painted, 1, 3);
  write_page(painted, 2, 3);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(first, then));
  EXPECT_TRUE(shows(second, between));
  painted.arena().rollback(second);
  EXPECT_TRUE(shows(painted.arena(), between));
}

TEST_P(KnownWrite, alone_makes_the_next_snapshot_another_version) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 4, 1);
  const Snapshot first = arena.snapshot();
  write_page(arena, 2, 2);
  const Snapshot second = arena.snapshot();
  EXPECT_NE(first, second);
  EXPECT_EQ(second, arena.snapshot());
  write_page(arena, 2, 3);  // its page is no sole owner's any more
  EXPECT_NE(second, arena.snapshot());
  EXPECT_TRUE(shows(first, {1, 1, 1, 1, 0, 0, 0, 0}));
  EXPECT_TRUE(shows(second, {1, 1, 2, 1, 0, 0, 0, 0}));
}

TEST_P(KnownWrite, of_nothing_is_no_change) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 4, 1);
  const Snapshot first = arena.snapshot();
  const std::byte byte{1};
  arena.write(page_at(arena, 2), &byte, 0);
  arena.write(arena.data() + arena.capacity(), &byte, 0);
  arena.write({});
  arena.write({{arena.data(), &byte, 0}, {page_at(arena, 5), &byte, 0}});
  EXPECT_EQ(first, arena.snapshot());
  EXPECT_TRUE(arena.changed_since(first).empty());
}

// What empty spans and vectors have for data().
TEST_P(KnownWrite, of_nothing_takes_null_pointers_and_so_do_the_other_calls_with_ranges) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 4, 1);
  const Snapshot first = arena.snapshot();
  arena.write(nullptr, nullptr, 0);
  arena.write(page_at(arena, 1), nullptr, 0);
  arena.write({{nullptr, nullptr, 0}, {nullptr, nullptr, 0}});
  arena.ref().write(nullptr, nullptr, 0);
  arena.prepare_write(nullptr, 0);
  arena.discard(nullptr, 0);
  EXPECT_EQ(first, arena.snapshot());
  const std::byte two[sizeof(std::uint64_t)] = {std::byte{2}};
  arena.write({{nullptr, nullptr, 0}, {page_at(arena, 2), two, sizeof two}, {nullptr, nullptr, 0}});
  EXPECT_EQ(mark_of(arena, 2), 2U);
  EXPECT_TRUE(shows(first, {1, 1, 1, 1, 0, 0, 0, 0}));
}

TEST_P(KnownWrite, is_among_what_has_changed) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  const Snapshot snapshot = arena.snapshot();
  write_page(arena, 3, 2);
  const std::uint64_t word = 9;
  arena.write(page_at(arena, 10) - 4, &word, sizeof word);
  write_page(arena, 50, 2);
  const std::vector<PageRange> changed = arena.changed_since(snapshot);
  std::vector<std::size_t> pages;
  for (const PageRange& range : changed)
    for (std::size_t page = range.first; page < range.first + range.count; ++page) pages.push_back(page);
  EXPECT_EQ(pages, (std::vector<std::size_t>{3, 9, 10, 50}));
}

TEST_P(KnownWrite, is_in_the_clones_that_follow) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 6, 1);
  write_page(painted, 2, 2);
  Painted clone(painted.arena().clone(), painted.picture());
  EXPECT_TRUE(clone.is_right());
  write_page(clone, 3, 3);
  Painted of_clone(clone.arena().clone(), clone.picture());
  write_page(painted, 3, 4);
  for (Painted* each : {&painted, &clone, &of_clone}) EXPECT_TRUE(each->is_right());
}

}  // namespace
}  // namespace cow::test

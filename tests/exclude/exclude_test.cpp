// Promise: pages that exclude() has taken out of snapshots keep what they hold through rollbacks, adoptions and
// transactions, show as zero in versions and clones from then on, and can be written by anyone at any time.
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/family.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class Excluded : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Excluded);

void exclude(Arena& arena, std::size_t first, std::size_t count) {
  arena.exclude(page_at(arena, first), count * page_size());
}

/// What the picture shows once pages of it are excluded.
Picture without(Picture picture, std::size_t first, std::size_t count) {
  for (std::size_t page = first; page < first + count; ++page) picture[page] = 0;
  return picture;
}

/// Through the kernel, which no handler helps.
bool kernel_can_write(std::byte* at, std::uint64_t value) {
  int ends[2];
  if (::pipe(ends) != 0) return false;
  const bool sent = ::write(ends[1], &value, sizeof value) == sizeof value;
  const bool got = ::read(ends[0], at, sizeof value) == sizeof value;
  ::close(ends[0]), ::close(ends[1]);
  return sent && got;
}

TEST_P(Excluded, keep_their_content_where_a_rollback_takes_the_rest_back) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 40, 1);
  const Snapshot before = painted.arena().snapshot();
  const Picture then = painted.picture();
  painted.paint_run(10, 8, 2);
  exclude(painted.arena(), 12, 4);
  EXPECT_TRUE(painted.is_right()) << "excluding has changed the content";
  painted.paint_run(12, 4, 3);
  const Snapshot after = painted.arena().snapshot();
  painted.paint_run(0, 64, 4);
  for (const Snapshot& target : {after, before}) {
    painted.arena().rollback(target);
    for (std::size_t page = 12; page < 16; ++page) EXPECT_EQ(mark_of(painted.arena(), page), 4U);
  }
  Picture expected = then;
  for (std::size_t page = 12; page < 16; ++page) expected[page] = 4;
  EXPECT_TRUE(shows(painted.arena(), expected));
}

TEST_P(Excluded, read_as_zero_in_versions_from_then_on_and_as_before_in_older_ones) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 40, 1);
  const Snapshot older = painted.arena().snapshot();
  const View old_view = older.view();
  const Picture then = painted.picture();
  painted.paint_run(8, 4, 2);
  exclude(painted.arena(), 8, 6);
  painted.paint_run(6, 10, 3);
  const Snapshot newer = painted.arena().snapshot();
  const Picture shown = without(painted.picture(), 8, 6);
  painted.paint_run(0, 64, 4);
  EXPECT_TRUE(shows(newer, shown));
  EXPECT_TRUE(shows(newer.view(), shown));
  EXPECT_TRUE(shows(older, then));
  EXPECT_TRUE(shows(old_view, then));
  EXPECT_TRUE(shows(older.view(), then));
}

TEST_P(Excluded, are_zero_and_excluded_in_clones_and_their_clones) {
  Painted painted(make_arena(64));
  painted.paint_run(0, 40, 1);
  exclude(painted.arena(), 4, 4);
  Painted clone(painted.arena().clone(), without(painted.picture(), 4, 4));
  EXPECT_TRUE(clone.is_right());
  clone.paint_run(5, 2, 5);
  const Snapshot of_clone = clone.arena().snapshot();
  Painted grandchild(of_clone.clone(), without(clone.picture(), 4, 4));
  EXPECT_TRUE(grandchild.is_right());
  grandchild.paint_run(0, 10, 6);
  clone.paint_run(0, 10, 7);
  clone.arena().rollback(of_clone);
  Picture expected = without(painted.picture(), 0, 0);
  for (std::size_t page = 4; page < 8; ++page) expected[page] = 7;
  EXPECT_TRUE(shows(clone.arena(), expected));
  EXPECT_EQ(mark_of(painted.arena(), 4), 1U);
  EXPECT_TRUE(grandchild.is_right());
  EXPECT_TRUE(shows(grandchild.arena().snapshot(), without(grandchild.picture(), 4, 4)));
}

TEST_P(Excluded, are_not_excluded_in_clones_of_older_versions) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 20, 1);
  const Snapshot older = painted.arena().snapshot();
  exclude(painted.arena(), 4, 4);
  Painted clone(older.clone(), painted.picture());
  EXPECT_TRUE(clone.is_right());
  const Snapshot before = clone.arena().snapshot();
  clone.paint_run(4, 4, 2);
  clone.arena().rollback(before);
  EXPECT_TRUE(shows(clone.arena(), painted.picture()));
}

TEST_P(Excluded, stay_in_a_clone_that_rolls_back_to_its_base) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 20, 1);
  const Snapshot base = painted.arena().snapshot();
  Painted clone(base.clone(), painted.picture());
  clone.paint_run(2, 8, 2);
  exclude(clone.arena(), 4, 2);
  clone.arena().rollback(base);
  Picture expected = painted.picture();
  expected[4] = expected[5] = 2;
  EXPECT_TRUE(shows(clone.arena(), expected));
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(base, painted.picture()));
}

TEST_P(Excluded, can_be_written_by_the_kernel_at_any_time) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  exclude(arena, 10, 3);
  std::vector<Snapshot> kept;
  for (std::uint64_t round = 0; round < 6; ++round) {
    // Writable pages on both sides, which one wide call would protect.
    put_mark(arena, 9, round), put_mark(arena, 13, round);
    kept.push_back(arena.snapshot());
    for (std::size_t page = 10; page < 13; ++page) {
      ASSERT_TRUE(kernel_can_write(page_at(arena, page), round)) << "page " << page << " in round " << round;
      EXPECT_EQ(mark_of(arena, page), round);
    }
  }
}

TEST_P(Excluded, cost_no_fault_and_no_copy) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  exclude(arena, 16, 16);
  const Snapshot first = arena.snapshot();
  const ArenaStats before = arena.stats();
  fill_run(arena, 16, 16, 2);
  const Snapshot second = arena.snapshot();
  const ArenaStats spent = arena.stats().since(before);
  EXPECT_EQ(spent.faults(), 0U);
  EXPECT_EQ(spent.bytes_copied, 0U);
  EXPECT_TRUE(first == second) << "nothing but excluded pages was written";
  EXPECT_EQ(spent.pages_excluded, 16U);
}

TEST_P(Excluded, are_never_said_to_have_changed) {
  Arena arena = make_arena(32);
  fill_run(arena, 0, 32, 1);
  const Snapshot before = arena.snapshot();
  put_mark(arena, 5, 2);
  exclude(arena, 5, 2);
  put_mark(arena, 6, 3), put_mark(arena, 7, 3);
  for (const PageRange& range : arena.changed_since(before)) {
    EXPECT_FALSE(range.first < 7 && range.first + range.count > 5) << range.first << "+" << range.count;
  }
  // As versions show them they do differ.
  const Snapshot after = arena.snapshot();
  std::size_t named = 0;
  for (const PageRange& range : changed_between(before, after)) named += range.count;
  EXPECT_GE(named, 3U);
  put_mark(arena, 5, 9);
  const Snapshot last = arena.snapshot();
  EXPECT_TRUE(changed_between(after, last).empty());
}

TEST_P(Excluded, are_left_alone_by_adopt_and_merge_on_either_side) {
  Painted original(make_arena(32));
  original.paint_run(0, 24, 1);
  exclude(original.arena(), 2, 2);
  const Snapshot base = original.arena().snapshot();
  Painted clone(base.clone(), without(original.picture(), 2, 2));
  exclude(clone.arena(), 10, 2);
  clone.paint_run(1, 14, 2);
  original.paint_run(2, 2, 8);
  original.arena().adopt(clone.arena().snapshot());
  Picture expected = original.picture();
  for (std::size_t page = 1; page < 15; ++page) {
    if (page != 2 && page != 3 && page != 10 && page != 11) expected[page] = 2;
  }
  EXPECT_TRUE(shows(original.arena(), expected));
  original.arena().rollback(base);
  const MergeReport report = merge(original.arena(), base, clone.arena().snapshot());
  EXPECT_TRUE(report.conflicts.empty());
  EXPECT_TRUE(shows(original.arena(), expected));
}

TEST_P(Excluded, outlive_transactions) {
  Arena arena = make_arena(16);
  exclude(arena, 3, 1);
  {
    Transaction tried(arena);
    put_mark(arena, 2, 7), put_mark(arena, 3, 7);
  }
  EXPECT_EQ(mark_of(arena, 2), 0U);
  EXPECT_EQ(mark_of(arena, 3), 7U);
}

TEST_P(Excluded, take_writes_preparations_and_discards_as_memory) {
  Arena arena = make_arena(32);
  fill_run(arena, 0, 32, 1);
  exclude(arena, 8, 4);
  const Snapshot kept = arena.snapshot();
  std::vector<std::byte> bytes(8 * page_size(), std::byte{5});
  arena.write(page_at(arena, 6), bytes.data(), bytes.size());
  EXPECT_EQ(std::memcmp(page_at(arena, 6), bytes.data(), bytes.size()), 0);
  arena.prepare_write(page_at(arena, 6), bytes.size());
  for (std::size_t page = 6; page < 14; ++page) EXPECT_TRUE(kernel_can_write(page_at(arena, page), 6));
  EXPECT_TRUE(arena.ref().is_writable(page_at(arena, 9)));
  arena.discard(page_at(arena, 7), 3 * page_size());
  for (std::size_t page = 7; page < 10; ++page) EXPECT_TRUE(filled(page_at(arena, page), 0));
  EXPECT_EQ(mark_of(arena, 10), 6U);
  arena.rollback(kept);
  EXPECT_EQ(mark_of(arena, 7), 1U);
  EXPECT_EQ(mark_of(arena, 8), 0U) << "what was discarded stays so";
  EXPECT_EQ(mark_of(arena, 10), 6U);
}

TEST_P(Excluded, of_every_kind_of_page_leave_the_family_intact) {
  for (const auto& [first, count] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 32}, {4, 8}, {22, 6}, {8, 2}}) {
    Family family(make_arena(Family::pages));
    exclude(family.painted.arena(), first, count);
    family.expect_intact();
    exclude(family.clone->arena(), first, count);
    family.expect_intact();
    family.painted.paint_run(0, Family::pages, 9);
    family.clone->paint_run(0, Family::pages, 8);
    family.expect_intact();
    EXPECT_TRUE(shows(family.painted.arena().snapshot(), without(Picture(Family::pages, 9), first, count)));
    EXPECT_TRUE(shows(family.clone->arena().snapshot(), without(Picture(Family::pages, 8), first, count)));
  }
}

TEST_P(Excluded, twice_are_excluded_once) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 32, 1);
  const Snapshot before = painted.arena().snapshot();
  exclude(painted.arena(), 8, 2);
  exclude(painted.arena(), 8, 2);
  exclude(painted.arena(), 9, 1);
  EXPECT_EQ(painted.arena().stats().pages_excluded, 2U);
  painted.paint_run(8, 2, 2);
  exclude(painted.arena(), 6, 6);  // with others on both sides
  EXPECT_EQ(painted.arena().stats().pages_excluded, 6U);
  EXPECT_TRUE(painted.is_right());
  painted.arena().rollback(before);
  EXPECT_TRUE(painted.is_right());
  exclude(painted.arena(), 0, 0);
  painted.arena().exclude(nullptr, 0);
}

TEST_P(Excluded, must_be_whole_pages_of_the_arena) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 16, 1);
  Arena& arena = painted.arena();
  const Arena other = make_arena(16);
  const Snapshot kept = arena.snapshot();
  const View view = kept.view();
  std::byte* const start = arena.data();
  const std::size_t page = page_size(), most = ~std::size_t{0};
  for (const auto& [place, count] : std::vector<std::pair<std::byte*, std::size_t>>{
           {start, page / 2}, {start + 1, page}, {start + page, page + 1}, {start - page, page}, {start - page, 2 * page},
           {start + 15 * page, 2 * page}, {start + page, most}, {start, most - page + 1}, {nullptr, page},
           {start + 16 * page, page}, {other.data(), page}, {const_cast<std::byte*>(view.data()), page}}) {
    std::byte* const at = place;
    const std::size_t bytes = count;
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { arena.exclude(at, bytes); })) << bytes;
  }
  EXPECT_EQ(arena.stats().pages_excluded, 0U);
  EXPECT_TRUE(painted.is_right());
  Arena moved = std::move(arena);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.exclude(start, page); }));
  moved.exclude(start, page);
}

TEST_P(Excluded, follow_an_arena_that_is_moved_and_swapped) {
  Arena one = make_arena(16), other = make_arena(16);
  exclude(one, 3, 1);
  put_mark(one, 3, 5);
  std::swap(one, other);
  const Snapshot kept = other.snapshot();
  put_mark(other, 3, 6);
  other.rollback(kept);
  EXPECT_EQ(mark_of(other, 3), 6U);
  const Arena third = std::move(other);
  EXPECT_EQ(mark_of(third, 3), 6U);
}

TEST_P(Excluded, inside_a_heap_are_whole_pages_of_a_large_block) {
  Arena arena = make_arena(2048);
  Heap heap(arena);
  void* const small = heap.allocate(100);
  std::byte* const block = static_cast<std::byte*>(heap.allocate(8 * page_size(), page_size()));
  void* const behind = heap.allocate(8 * page_size(), page_size());
  const auto page_of = [&](const void* at) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(at) - arena.data());
    return arena.data() + offset / page_size() * page_size();
  };
  for (std::byte* const at : {arena.data(), page_of(small), block + 7 * page_size(), page_at(arena, 2000)}) {
    EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.exclude(at, 2 * page_size()); }));
  }
  EXPECT_EQ(arena.stats().pages_excluded, 0U);
  arena.exclude(block + page_size(), 7 * page_size());
  EXPECT_TRUE(heap.check().ok());
  const Snapshot kept = arena.snapshot();
  block[0] = block[page_size()] = std::byte{7};
  heap.deallocate(behind);
  arena.rollback(kept);
  EXPECT_EQ(block[0], std::byte{0});
  EXPECT_EQ(block[page_size()], std::byte{7});
  EXPECT_TRUE(heap.check().ok());
  Arena without_heap = make_arena(2048);
  exclude(without_heap, 1000, 1);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { const Heap made(without_heap); }));
}

TEST_P(Excluded, are_told_by_the_page_map_the_account_and_the_statistics) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  Arena clone = arena.clone();  // shows what is going to be excluded
  exclude(arena, 8, 8);
  const PageMap map = map_pages(arena);
  EXPECT_EQ(map.pages_in(PageState::excluded), 8U);
  EXPECT_EQ(map.pages_in(PageState::private_page) + map.pages_in(PageState::shared), 24U);
  EXPECT_NE(to_text(map).find("excluded"), std::string::npos);
  EXPECT_NE(to_svg(map).find("excluded"), std::string::npos);
  EXPECT_EQ(account_memory(arena).excluded_bytes, 8 * page_size());
  EXPECT_EQ(arena.stats().pages_excluded, 8U);
  EXPECT_NE(to_json(arena.stats()).find("\"pages_excluded\":8"), std::string::npos);
  EXPECT_NE(arena.dump().find("excluded"), std::string::npos);
  EXPECT_EQ(clone.stats().pages_excluded, 0U);
}

TEST_P(Excluded, give_their_frames_back) {
  Arena arena = make_arena(512);
  fill_run(arena, 0, 512, 1);
  { const Snapshot kept = arena.snapshot(); }
  fill_run(arena, 0, 256, 2);
  exclude(arena, 0, 500);
  (void)arena.snapshot();
  const MemoryAccount account = account_memory(arena);
  EXPECT_LE(account.kernel_bytes, 40 * page_size());
  EXPECT_EQ(account.total(), account.kernel_bytes);
}

TEST_P(Excluded, of_an_arena_that_is_gone_stay_so_in_its_versions) {
  Snapshot kept;
  {
    Arena arena = make_arena(32);
    fill_run(arena, 0, 32, 1);
    exclude(arena, 4, 4);
    kept = arena.snapshot();
  }
  Arena clone = kept.clone();
  EXPECT_EQ(clone.stats().pages_excluded, 4U);
  EXPECT_EQ(mark_of(clone, 4), 0U);
  EXPECT_EQ(mark_of(clone, 8), 1U);
  const Snapshot before = clone.snapshot();
  fill_run(clone, 0, 32, 2);
  clone.rollback(before);
  EXPECT_EQ(mark_of(clone, 4), 2U);
  EXPECT_EQ(mark_of(clone, 8), 1U);
}

}  // namespace
}  // namespace cow::test

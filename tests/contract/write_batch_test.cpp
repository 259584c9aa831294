// Promise: a batch of writes is applied in order, all of it or nothing; `from` may be anything readable; write() is
// there for as long as its arena is, and leaves nothing behind.
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class WriteBatch : public BarrierTest {};
COW_FOR_EVERY_BARRIER(WriteBatch);

TEST_P(WriteBatch, leaves_what_its_writes_would_leave) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 20, 1);
  const Picture then = painted.picture();
  const Snapshot snapshot = painted.arena().snapshot();
  const View view = snapshot.view();
  painted.paint_run(2, 4, 2);
  Picture expected = painted.picture();
  const auto three = page_of(3), four = page_of(4);
  painted.arena().write({{page_at(painted.arena(), 1), three.data(), page_size()},
                         {page_at(painted.arena(), 3), four.data(), page_size()},
                         {page_at(painted.arena(), 10), three.data(), page_size()},
                         {page_at(painted.arena(), 30), four.data(), page_size()}});
  expected[1] = expected[10] = 3;
  expected[3] = expected[30] = 4;
  EXPECT_TRUE(shows(painted.arena(), expected));
  EXPECT_TRUE(shows(snapshot, then));
  EXPECT_TRUE(shows(view, then));
}

TEST_P(WriteBatch, applies_what_overlaps_in_order) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  const Snapshot snapshot = arena.snapshot();
  Bytes expected(arena.data(), arena.data() + arena.capacity());
  std::vector<Bytes> sources;
  std::vector<Write> batch;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::size_t offset = i * 977 % (6 * page_size()), size = 1 + i * 331 % (2 * page_size());
    sources.push_back(noise(size, i + 1));
    batch.push_back({arena.data() + offset, sources.back().data(), size});
    std::memcpy(expected.data() + offset, sources.back().data(), size);
  }
  arena.write(batch);
  EXPECT_EQ(std::memcmp(arena.data(), expected.data(), expected.size()), 0);
  EXPECT_TRUE(shows(snapshot, Picture(8, 1)));
}

TEST_P(WriteBatch, copies_each_page_once) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  const Snapshot snapshot = arena.snapshot();
  const ArenaStats before = arena.stats();
  const std::uint64_t word = 5;
  std::vector<Write> batch;
  for (std::size_t i = 0; i < 100; ++i) batch.push_back({page_at(arena, i % 2) + 8 * i, &word, sizeof word});
  arena.write(batch);
  EXPECT_EQ(arena.stats().since(before).pages_to_history, 2U);
  EXPECT_EQ(arena.stats().since(before).bytes_copied, 2 * page_size());
}

TEST_P(WriteBatch, with_one_range_outside_changes_nothing_and_says_so) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  const std::uint64_t word = 7;
  std::byte* const base = painted.arena().data();
  const std::size_t capacity = painted.arena().capacity();
  for (const Write& outside : {Write{base + capacity - 4, &word, 8}, Write{base - 1, &word, 1},
                               Write{base + capacity + 1, &word, 0}, Write{base + 8, &word, SIZE_MAX},
                               Write{nullptr, &word, 8}}) {
    const std::vector<Write> batch = {{base, &word, 8}, outside, {base + page_size(), &word, 8}};
    const auto thrown = throws_exactly<std::invalid_argument>([&] { painted.arena().write(batch); });
    EXPECT_TRUE(thrown);
    const std::string message = thrown.message();
    EXPECT_NE(message.find("write of "), std::string::npos) << message;
    EXPECT_NE(message.find(std::to_string(capacity) + " bytes"), std::string::npos) << message;
    EXPECT_TRUE(throws_exactly<std::invalid_argument>(
        [&] { painted.arena().write(outside.to, outside.from, outside.bytes); }));
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { painted.arena().ref().write(batch); }));
  }
  EXPECT_TRUE(painted.is_right());
  EXPECT_EQ(painted.arena().snapshot(), snapshot);
}

TEST_P(WriteBatch, needs_an_arena) {
  Arena arena = make_arena(4);
  std::byte* const at = arena.data();
  Arena moved = std::move(arena);
  const std::uint64_t word = 7;
  const Write one{at, &word, sizeof word};
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.write(at, &word, sizeof word); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.write({one}); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { ArenaRef().write(at, &word, sizeof word); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { ArenaRef().write(std::span(&one, 1)); }));
  EXPECT_EQ(mark_of(moved, 0), 0U);
}

TEST_P(WriteBatch, goes_on_after_the_arena_was_moved) {
  Painted first(make_arena(4));
  const ArenaRef ref = first.arena().ref();
  write_page(first, 1, 1);
  Painted painted(std::move(first.arena()), first.picture());
  const Snapshot snapshot = painted.arena().snapshot();
  write_page(painted, 1, 2);
  const auto three = page_of(3);
  const Write one{page_at(painted.arena(), 2), three.data(), page_size()};
  ref.write(std::span(&one, 1));
  ref.write(page_at(painted.arena(), 3), three.data(), page_size());
  EXPECT_TRUE(shows(painted.arena(), {0, 2, 3, 3}));
  EXPECT_TRUE(shows(snapshot, {0, 1, 0, 0}));
  painted.arena() = make_arena(4);  // the other one goes, and its successor is written
  write_page(painted.arena(), 2, 4);
  EXPECT_TRUE(shows(painted.arena(), {0, 0, 4, 0}));
  EXPECT_TRUE(shows(snapshot, {0, 1, 0, 0}));
}

TEST_P(WriteBatch, reads_from_arenas_and_views) {
  Painted source(make_arena(8)), painted(make_arena(8));
  for (std::size_t page = 0; page < 8; ++page) source.paint(page, 10 + page);
  painted.paint_run(0, 4, 1);
  const View view = source.arena().snapshot().view();
  source.paint(1, 99);
  const Snapshot snapshot = painted.arena().snapshot();
  Arena& arena = painted.arena();
  arena.write({{page_at(arena, 4), page_at(source.arena(), 1), page_size()},
               {page_at(arena, 5), page_at(view, 1), page_size()},
               {page_at(arena, 6), page_at(arena, 4), page_size()},     // what this batch has written
               {page_at(arena, 0), page_at(arena, 7), page_size()},     // never written
               {page_at(arena, 2), page_at(arena, 1), page_size()}});
  EXPECT_TRUE(shows(arena, {0, 1, 1, 1, 99, 11, 99, 0}));
  EXPECT_TRUE(shows(snapshot, {1, 1, 1, 1, 0, 0, 0, 0}));
  EXPECT_TRUE(source.is_right());
}

// Each page moves: the pages read are being replaced meanwhile.
TEST_P(WriteBatch, reads_from_the_pages_that_it_writes) {
  Painted base(make_arena(8));
  for (std::size_t page = 0; page < 8; ++page) base.paint(page, 10 + page);
  Arena clone = base.arena().clone();
  const View view = clone.snapshot().view();
  const std::size_t half = page_size() / 2;
  clone.write({{page_at(clone, 1), page_at(clone, 2) + half, half}, {page_at(clone, 2), page_at(clone, 1), half}});
  for (const std::size_t page : {1U, 2U})
    for (std::size_t word = 0; word < words_in_page(); ++word)
      ASSERT_EQ(mark_of(page_at(clone, page) + 8 * word), page == 2 || word < words_in_page() / 2 ? 12U : 11U);
  EXPECT_TRUE(base.is_right());
  EXPECT_TRUE(shows(view, base.picture()));
}

TEST_P(WriteBatch, writes_a_heaps_memory) {
  Arena arena = make_arena(256);
  Heap heap(arena);
  std::vector<std::uint64_t*> blocks;
  for (std::size_t i = 0; i < 500; ++i) blocks.push_back(heap.create<std::uint64_t>(i));
  heap.set_root(blocks[0]);
  const Snapshot snapshot = arena.snapshot();
  std::vector<std::uint64_t> values(blocks.size());
  std::vector<Write> batch;
  for (std::size_t i = 0; i < blocks.size(); i += 3) {
    values[i] = 1000 + i;
    batch.push_back({blocks[i], &values[i], sizeof values[i]});
  }
  arena.write(batch);
  auto* const later = heap.create<std::uint64_t>(7U);  // the heap goes on beside what was written
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_EQ(*blocks[i], i % 3 == 0 ? 1000 + i : i);
    ASSERT_EQ(snapshot.read(blocks[i]), i);
  }
  heap.destroy(later);
  EXPECT_TRUE(heap.check().ok());
  arena.rollback(snapshot);
  EXPECT_EQ(*blocks[3], 3U);
  EXPECT_TRUE(heap.check().ok());
}

TEST_P(WriteBatch, leaves_the_next_snapshot_nothing_to_protect) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  constexpr std::size_t pages = 4096;
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  std::vector<Snapshot> kept{arena.snapshot()};
  const ArenaStats before = arena.stats();
  for (std::uint64_t i = 0; i < 1000; ++i) write_page(arena, i * 389 % pages, 100 + i);
  EXPECT_EQ(arena.stats().pages_writable, 0U);
  EXPECT_EQ(arena.stats().mappings, before.mappings);
  kept.push_back(arena.snapshot());
  EXPECT_EQ(arena.stats().pages_writable, 0U);
  EXPECT_EQ(arena.stats().since(before).faults(), 0U);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(mark_of(kept[1], i * 389 % pages), 100 + i);
    ASSERT_EQ(mark_of(kept[0], i * 389 % pages), 1U);
  }
}

TEST_P(WriteBatch, gives_its_mappings_back_with_the_arena) {
  Arena witness = make_arena(8);
  (void)witness.snapshot();
  const std::uint64_t counted = witness.stats().process_mappings;
  std::size_t mapped = 0, descriptors = 0;
  for (int round = 0; round < 20; ++round) {
    if (round == 1) mapped = mapping_count(), descriptors = descriptor_count();
    Painted painted(make_arena(64));
    painted.paint_run(0, 64, 1);
    Painted clone(painted.arena().clone(), painted.picture());
    for (std::size_t page = 0; page < 64; page += 5) {
      write_page(painted, page, 2);
      write_page(clone, page, 3);
    }
    EXPECT_TRUE(painted.is_right());
    EXPECT_TRUE(clone.is_right());
    EXPECT_GT(witness.stats().process_mappings, counted);
  }
  EXPECT_EQ(witness.stats().process_mappings, counted);
  EXPECT_LE(mapping_count(), mapped + 4);
  EXPECT_EQ(descriptor_count(), descriptors);
}

TEST_P(WriteBatch, by_several_threads_to_the_same_pages_loses_nothing) {
  constexpr std::size_t threads = 3, pages = 16;
  constexpr std::uint64_t rounds = 300;
  Arena arena = make_arena(pages);
  Team::all_at_once(threads, [&](std::size_t index) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      std::vector<Write> batch;
      for (std::size_t page = 0; page < pages; ++page) batch.push_back({page_at(arena, page) + 8 * index, &round, 8});
      if (index == 0 && round % 10 == 0) (void)arena.snapshot();
      arena.write(batch);
    }
  });
  for (std::size_t page = 0; page < pages; ++page)
    for (std::size_t index = 0; index < threads; ++index) EXPECT_EQ(mark_of(page_at(arena, page) + 8 * index), rounds);
}

}  // namespace
}  // namespace cow::test

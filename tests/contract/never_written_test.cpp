// Promise: memory never written reads as zero and costs nothing, however much address space there is.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

// ThreadSanitizer leaves too little address space for several arenas of 1 TiB.
constexpr std::size_t vast = std::size_t{1} << (under_tsan ? 34 : 40);
constexpr std::uint64_t little = std::uint64_t{4} << 20;

class NeverWritten : public BarrierTest {
 protected:
  Arena make_vast_arena() const { return make_arena(vast / page_size(), "vast"); }
};
COW_FOR_EVERY_BARRIER(NeverWritten);

TEST_P(NeverWritten, memory_reads_as_zero) {
  const Arena arena = make_arena(64);
  EXPECT_TRUE(shows(arena, Picture(64, 0)));
}

TEST_P(NeverWritten, neighbours_of_a_written_page_read_as_zero) {
  Arena arena = make_arena(64);
  fill(arena, 30, 1);
  for (std::size_t page = 0; page < 64; ++page)
    ASSERT_TRUE(filled(page_at(arena, page), page == 30 ? 1U : 0U)) << page;
  const Snapshot snapshot = arena.snapshot();
  put_mark(arena, 31, 1);
  EXPECT_EQ(mark_of(snapshot, 31), 0U);
}

TEST_P(NeverWritten, memory_of_a_terabyte_costs_nothing) {
  const std::uint64_t resident = resident_bytes();
  const std::uint64_t file_bytes = memory_file_bytes();
  Arena arena = make_vast_arena();
  EXPECT_EQ(arena.capacity(), vast);
  const Snapshot snapshot = arena.snapshot();
  const Arena clone = arena.clone();
  EXPECT_LE(resident_bytes(), resident + little);
  EXPECT_EQ(memory_file_bytes(), file_bytes);
  EXPECT_LE(arena.stats().bookkeeping_bytes, little);
}

TEST_P(NeverWritten, memory_between_scattered_writes_costs_nothing) {
  const std::uint64_t resident = resident_bytes();
  const std::uint64_t file_bytes = memory_file_bytes();
  Arena arena = make_vast_arena();
  const std::size_t pages = page_count(arena);
  const std::vector<std::size_t> places = {0, pages / 3, pages / 2, pages - 2, pages - 1};
  for (const std::size_t page : places) put_mark(arena, page, page + 1);
  const Snapshot snapshot = arena.snapshot();
  for (const std::size_t page : places) put_mark(arena, page, 7);
  Arena clone = snapshot.clone();
  for (const std::size_t page : places) {
    ASSERT_EQ(mark_of(snapshot, page), page + 1);
    ASSERT_EQ(mark_of(clone, page), page + 1);
    put_mark(clone, page, 8);
  }
  arena.rollback(snapshot);
  for (const std::size_t page : places) ASSERT_EQ(mark_of(arena, page), page + 1);
  EXPECT_LE(resident_bytes(), resident + 2 * little);
  EXPECT_LE(memory_file_bytes(), file_bytes + little);
}

TEST_P(NeverWritten, memory_of_a_vast_arena_is_viewed_and_discarded_at_no_cost) {
  Arena arena = make_vast_arena();
  put_mark(arena, page_count(arena) / 2, 1);
  const std::uint64_t file_bytes = memory_file_bytes();
  const View view = arena.snapshot().view();
  EXPECT_EQ(mark_of(view, page_count(arena) / 2), 1U);
  EXPECT_EQ(mark_of(view, page_count(arena) - 1), 0U);
  arena.discard(arena.data(), arena.capacity());
  EXPECT_EQ(mark_of(arena, page_count(arena) / 2), 0U);
  EXPECT_LE(memory_file_bytes(), file_bytes + little);
}

TEST_P(NeverWritten, default_capacity_is_a_gibibyte_that_costs_nothing) {
  ArenaOptions options;
  options.barrier = GetParam();
  const std::uint64_t resident = resident_bytes();
  const Arena arena(options);
  EXPECT_EQ(arena.capacity(), std::size_t{1} << 30);
  EXPECT_LE(resident_bytes(), resident + little);
}

TEST_P(NeverWritten, capacity_is_rounded_up_to_pages) {
  ArenaOptions options = options_for(GetParam(), 1);
  options.capacity = 3 * page_size() + 1;
  const Arena arena(options);
  EXPECT_EQ(arena.capacity(), 4 * page_size());
  EXPECT_TRUE(arena.contains(arena.data()));
  EXPECT_TRUE(arena.contains(arena.data() + arena.capacity() - 1));
  EXPECT_FALSE(arena.contains(arena.data() + arena.capacity()));
  EXPECT_FALSE(arena.contains(&options));
  EXPECT_FALSE(arena.contains(nullptr));
}

TEST_P(NeverWritten, books_take_at_most_half_a_percent_of_what_is_touched) {
  constexpr std::size_t pages = 16384;  // 64 MiB of small pages
  Arena arena = make_arena(pages);
  for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
  const Snapshot snapshot = arena.snapshot();
  for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 2);
  const ArenaStats stats = arena.stats();
  // The pages touched, and their before-images.
  EXPECT_LE(stats.bookkeeping_bytes, 2 * pages * page_size() / 200);
}

}  // namespace
}  // namespace cow::test

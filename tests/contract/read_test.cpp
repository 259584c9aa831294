// Promise: Snapshot::read copies any range of a snapshot, also into arenas, without mapping anything.
#include <algorithm>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

class Read : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Read);

std::byte pattern(std::size_t offset) { return static_cast<std::byte>(offset * 131 + offset / 4096); }

void write_pattern(const Arena& arena, std::size_t first, std::size_t count) {
  for (std::size_t offset = first; offset < first + count; ++offset) arena.data()[offset] = pattern(offset);
}

testing::AssertionResult is_pattern(const std::byte* bytes, std::size_t first, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (bytes[i] != pattern(first + i)) return testing::AssertionFailure() << "byte " << first + i << " differs";
  return testing::AssertionSuccess();
}

TEST_P(Read, copies_any_range) {
  Arena arena = make_arena(8);
  write_pattern(arena, 0, arena.capacity());
  const Snapshot snapshot = arena.snapshot();
  for (std::size_t page = 0; page < 8; page += 3) fill(arena, page, 1);
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, page_size() - 1, page_size(), 3 * page_size() + 77})
    for (const std::size_t size : {std::size_t{1}, std::size_t{8}, page_size(), 2 * page_size() + 5}) {
      Bytes out(size);
      snapshot.read(offset, out);
      ASSERT_TRUE(is_pattern(out.data(), offset, size)) << offset << " " << size;
    }
}

TEST_P(Read, copies_nothing_outside_of_out) {
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, 2, 2);
  Bytes out(3 * page_size(), std::byte{0xEE});
  snapshot.read(100, std::span(out).subspan(page_size(), page_size()));
  EXPECT_EQ(std::count(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(page_size()), std::byte{0xEE}),
            static_cast<std::ptrdiff_t>(page_size()));
  EXPECT_EQ(std::count(out.end() - static_cast<std::ptrdiff_t>(page_size()), out.end(), std::byte{0xEE}),
            static_cast<std::ptrdiff_t>(page_size()));
}

TEST_P(Read, of_no_bytes_is_fine_anywhere_inside) {
  Arena arena = make_arena(4);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_NO_THROW(snapshot.read(0, {}));
  EXPECT_NO_THROW(snapshot.read(17, {}));
  EXPECT_NO_THROW(snapshot.read(arena.capacity(), {}));
}

TEST_P(Read, of_never_written_pages_is_zero_and_takes_no_memory) {
  Arena arena = make_arena(1024);
  const Snapshot snapshot = arena.snapshot();
  const std::uint64_t before = memory_file_bytes();
  Bytes out(arena.capacity(), std::byte{1});
  snapshot.read(0, out);
  EXPECT_EQ(std::count(out.begin(), out.end(), std::byte{0}), static_cast<std::ptrdiff_t>(out.size()));
  EXPECT_EQ(memory_file_bytes(), before);
}

TEST_P(Read, into_protected_pages_of_another_arena) {
  Arena source = make_arena(8);
  write_pattern(source, 0, source.capacity());
  const Snapshot snapshot = source.snapshot();
  fill_run(source, 0, 8, 1);
  Painted target(make_arena(8));
  target.paint_run(0, 8, 2);
  const Snapshot of_target = target.arena().snapshot();
  snapshot.read(0, std::span(target.arena().data(), target.arena().capacity()));
  EXPECT_TRUE(is_pattern(target.arena().data(), 0, target.arena().capacity()));
  EXPECT_TRUE(shows(of_target, Picture(8, 2)));
}

// The pages read are those being written: each store faults, and logs the page that is being read.
TEST_P(Read, into_protected_pages_of_the_same_arena) {
  Arena arena = make_arena(8);
  write_pattern(arena, 0, arena.capacity());
  const Snapshot snapshot = arena.snapshot();
  snapshot.read(0, std::span(arena.data() + 3 * page_size() + 100, 4 * page_size()));
  EXPECT_TRUE(is_pattern(arena.data() + 3 * page_size() + 100, 0, 4 * page_size()));
  Bytes out(arena.capacity());
  snapshot.read(0, out);
  EXPECT_TRUE(is_pattern(out.data(), 0, out.size()));
}

TEST_P(Read, onto_the_very_same_addresses_brings_a_page_back) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  painted.paint_run(0, 5, 2);
  const Snapshot second = painted.arena().snapshot();
  snapshot.read(page_size(), std::span(page_at(painted.arena(), 1), 3 * page_size()));
  EXPECT_TRUE(shows(painted.arena(), {2, 1, 1, 1, 2, 1, 1, 1}));
  EXPECT_TRUE(shows(second, {2, 2, 2, 2, 2, 1, 1, 1}));
}

TEST_P(Read, into_a_clone_of_the_snapshot) {
  Arena arena = make_arena(8);
  write_pattern(arena, 0, arena.capacity());
  const Snapshot snapshot = arena.snapshot();
  Arena clone = snapshot.clone();
  snapshot.read(page_size(), std::span(clone.data(), 5 * page_size()));
  EXPECT_TRUE(is_pattern(clone.data(), page_size(), 5 * page_size()));
  EXPECT_TRUE(is_pattern(arena.data(), 0, arena.capacity()));
}

TEST_P(Read, makes_no_mappings) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  for (std::size_t page = 0; page < 64; page += 2) fill(arena, page, 2);
  Bytes out(arena.capacity());
  snapshot.read(0, out);
  const std::size_t before = mapping_count();
  for (int round = 0; round < 100; ++round) snapshot.read(0, out);
  EXPECT_LE(mapping_count(), before + 2);
}

}  // namespace
}  // namespace cow::test

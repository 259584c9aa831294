// Promise: a write never fails for lack of kernel mappings (vm.max_map_count), nor do clones and views of an arena that
// was written at random; other code in the process can still map memory. COW_BIG=1: at full size, 8 GiB.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

struct Size {
  std::size_t bytes;
  std::size_t writes;
};

// Two mappings for each scattered write would be needed: also the smaller size is far above the usual limit, or as far
// above a lower one, where the machine has that.
Size chosen_size() {
  if (number_from_environment("COW_BIG").value_or(0) != 0) return {std::size_t{8} << 30, 1'000'000};
  constexpr std::size_t usual_limit = 65'530, pages = std::size_t{1} << 18, writes = 130'000;
  const std::size_t parts = usual_limit / std::min(usual_limit, mapping_limit());
  return {pages / parts * page_size(), writes / parts};
}

/// A permutation of the pages, without a table: page number i of the scattered order.
class Scattered {
 public:
  explicit Scattered(std::size_t pages) : pages_(pages) {
    while (std::gcd(stride_, pages_) != 1) ++stride_;
  }
  std::size_t operator()(std::size_t i) const { return i * stride_ % pages_; }

 private:
  std::size_t pages_;
  std::size_t stride_ = 1'000'003;
};

/// Other code that maps memory: neighbouring pages with different rights, which the kernel cannot merge.
bool others_can_map(std::size_t count) {
  const std::size_t size = 2 * count * page_size();
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  bool all = true;
  for (std::size_t i = 0; i < count; ++i)
    all = all && ::mprotect(static_cast<std::byte*>(memory) + 2 * i * page_size(), page_size(), PROT_NONE) == 0;
  ::munmap(memory, size);
  return all;
}

class MappingLimit : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    if (under_tsan) GTEST_SKIP() << "one thread and minutes of it: nothing to be seen";
    // The content, its before-images and what a sanitizer adds.
    const std::uint64_t needed = chosen_size().bytes * (under_sanitizer ? 4 : 2);
    if (available_memory_bytes() < needed + needed / 4) GTEST_SKIP() << "too little memory for this size";
  }

  using Writer = std::function<void(Arena&, std::size_t page, std::uint64_t value)>;

  void expect_scattered_writes_to_succeed(Arena& arena, const Snapshot& snapshot, std::uint64_t content,
                                          const Writer& write = put_mark) {
    const std::size_t pages = page_count(arena);
    const Scattered scattered(pages);
    const std::size_t writes = std::min(chosen_size().writes, pages / 2);
    for (std::size_t i = 0; i < writes; ++i) {
      ASSERT_NO_THROW(write(arena, scattered(i), i + 1000));
      const bool time_to_ask = i % (writes / 8) == writes / 16;
      ASSERT_TRUE(!time_to_ask || others_can_map(200)) << "after " << i << " writes";
    }
    EXPECT_TRUE(others_can_map(200));
    EXPECT_LT(mapping_count(), mapping_limit());
    const std::size_t step = std::max<std::size_t>(1, pages / 10'000);
    for (std::size_t i = 0; i < pages; i += step) {
      ASSERT_EQ(mark_of(snapshot, scattered(i)), content);
      ASSERT_EQ(mark_of(arena, scattered(i)), i < writes ? i + 1000 : content);
    }
  }
};
COW_FOR_EVERY_BARRIER(MappingLimit);

TEST_P(MappingLimit, does_not_stop_scattered_writes_to_memory_never_written) {
  Arena arena = make_arena(chosen_size().bytes / page_size());
  const Snapshot snapshot = arena.snapshot();
  expect_scattered_writes_to_succeed(arena, snapshot, 0);
}

TEST_P(MappingLimit, does_not_stop_scattered_writes_over_earlier_content) {
  Arena arena = make_arena(chosen_size().bytes / page_size());
  for (std::size_t page = 0; page < page_count(arena); ++page) put_mark(arena, page, 7);
  const Snapshot snapshot = arena.snapshot();
  expect_scattered_writes_to_succeed(arena, snapshot, 7);
}

// Every page is lent: each writer moves away, and moved pages do not merge with those at home.
TEST_P(MappingLimit, does_not_stop_scattered_writes_under_an_open_view) {
  Arena arena = make_arena(chosen_size().bytes / page_size());
  for (std::size_t page = 0; page < page_count(arena); ++page) put_mark(arena, page, 7);
  const Snapshot snapshot = arena.snapshot();
  const View view = snapshot.view();
  expect_scattered_writes_to_succeed(arena, snapshot, 7);
  const Scattered scattered(page_count(arena));
  for (std::size_t i = 0; i < 10'000; ++i) ASSERT_EQ(mark_of(view, scattered(i)), 7U);
}

// The same where the program says what it writes.
TEST_P(MappingLimit, does_not_stop_known_writes_under_an_open_view) {
  const Writer writers[] = {
      [](Arena& arena, std::size_t page, std::uint64_t value) {
        arena.write(page_at(arena, page), &value, sizeof value);
      },
      [](Arena& arena, std::size_t page, std::uint64_t value) {
        arena.prepare_write(page_at(arena, page), sizeof value);
        put_mark(arena, page, value);
      }};
  constexpr std::size_t pages = 150'000;  // half of them, written at random, would be 75,000 mappings
  for (const Writer& writer : writers) {
    Arena arena = make_arena(pages);
    for (std::size_t page = 0; page < page_count(arena); ++page) put_mark(arena, page, 7);
    const Snapshot snapshot = arena.snapshot();
    const View view = snapshot.view();
    expect_scattered_writes_to_succeed(arena, snapshot, 7, writer);
  }
}

TEST_P(MappingLimit, does_not_stop_a_clone_from_being_written_at_random) {
  Arena arena = make_arena(chosen_size().bytes / page_size());
  for (std::size_t page = 0; page < page_count(arena); ++page) put_mark(arena, page, 7);
  const Snapshot snapshot = arena.snapshot();
  Arena clone = snapshot.clone();
  expect_scattered_writes_to_succeed(clone, snapshot, 7);
  const Scattered scattered(page_count(arena));
  for (std::size_t i = 0; i < 10'000; ++i) ASSERT_EQ(mark_of(arena, scattered(i)), 7U);
}

// Each would need two thousand mappings of its own if it mapped each scattered page by itself.
TEST_P(MappingLimit, does_not_stop_hundreds_of_clones_and_views_of_an_arena_written_at_random) {
  constexpr std::size_t pages = 8192;
  constexpr std::size_t written = 1000;
  constexpr std::size_t count = under_sanitizer ? 60 : 150;
  Arena arena = make_arena(pages);
  for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, 1);
  const Scattered scattered(pages);
  std::vector<Snapshot> snapshots;
  std::vector<Arena> clones;
  std::vector<View> views;
  for (std::uint64_t round = 0; round < count; ++round) {
    snapshots.push_back(arena.snapshot());
    for (std::size_t i = 0; i < written; ++i) put_mark(arena, scattered(round * 37 + i), round + 2);
    clones.push_back(snapshots[round].clone());
    views.push_back(snapshots[round / 2].view());
    put_mark(clones.back(), scattered(round), 9999);
  }
  ASSERT_TRUE(others_can_map(200));
  EXPECT_LT(mapping_count(), mapping_limit());
  // A page that round r wrote first at step i shows, in snapshot s, the last round before s that wrote it.
  const auto expected = [&](std::size_t i, std::size_t snapshot) -> std::uint64_t {
    std::uint64_t value = 1;
    for (std::size_t round = 0; round < snapshot; ++round)
      if (i >= round * 37 && i < round * 37 + written) value = round + 2;
    return value;
  };
  for (std::size_t round = 0; round < count; round += 3)
    for (std::size_t i = 0; i < written + count * 37; i += 61) {
      const std::size_t page = scattered(i);
      ASSERT_EQ(mark_of(clones[round], page), i == round ? 9999 : expected(i, round));
      ASSERT_EQ(mark_of(snapshots[round], page), expected(i, round));
      ASSERT_EQ(mark_of(views[round], page), expected(i, round / 2));
    }
}

}  // namespace
}  // namespace cow::test

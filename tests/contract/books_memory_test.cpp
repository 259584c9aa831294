// Promise: what the books needed for snapshots comes back when these are dropped, in whatever order, and
// bookkeeping_bytes tells what the kernel counts.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

constexpr std::size_t count = under_tsan ? 2'000 : 10'000;
const std::uint64_t little = 768 * page_size();

// Not the frames: those are shared memory.
std::uint64_t private_memory() { return proc_bytes("/proc/self/status", "RssAnon"); }

class BooksMemory : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    arena_.emplace(make_arena(64));
    fill_run(*arena_, 0, 64, 1);
    snapshots_.assign(count, {});
    at_first_ = books();
    private_at_first_ = private_memory();
  }

  std::uint64_t books() const { return arena_->stats().bookkeeping_bytes; }
  std::uint64_t more_books() const { return books() - at_first_; }
  std::uint64_t more_private_memory() const {
    const std::uint64_t now = private_memory();
    return now < private_at_first_ ? 0 : now - private_at_first_;
  }

  /// Both by the arena's figure and by the kernel's, in which a sanitizer's own memory is too.
  void expect_at_most(std::uint64_t bytes) const {
    EXPECT_LE(more_books(), bytes);
    if (!under_sanitizer) {
      EXPECT_LE(more_private_memory(), bytes);
    }
  }

  /// Each with a log of its own.
  void take_all() {
    for (std::size_t i = 0; i < count; ++i) {
      snapshots_[i] = arena_->snapshot();
      put_mark(*arena_, i % 60, i + 2);
    }
  }
  /// What snapshot i shows on a page: what was written by the last step before it.
  static std::uint64_t expected(std::size_t i, std::size_t page) {
    if (i <= page) return 1;
    return (i - 1 - page) / 60 * 60 + page + 2;
  }
  void expect_right(std::size_t i) const {
    for (std::size_t page = 0; page < 60; page += 7) ASSERT_EQ(mark_of(snapshots_[i], page), expected(i, page)) << i;
  }

  std::optional<Arena> arena_;
  std::vector<Snapshot> snapshots_;
  std::uint64_t at_first_ = 0, private_at_first_ = 0;
};
COW_FOR_EVERY_BARRIER(BooksMemory);

TEST_P(BooksMemory, comes_back_when_snapshots_are_dropped) {
  take_all();
  EXPECT_GE(more_books(), count * 4000);
  for (Snapshot& snapshot : snapshots_) snapshot = {};
  expect_at_most(little);
}

TEST_P(BooksMemory, comes_back_when_snapshots_are_dropped_in_any_order) {
  take_all();
  std::mt19937_64 random(3);
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  for (const std::size_t i : order) snapshots_[i] = {};
  expect_at_most(little);
}

TEST_P(BooksMemory, comes_back_from_between_the_snapshots_that_stay) {
  take_all();
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 100 != 99) snapshots_[i] = {};
  }
  expect_at_most(count / 100 * 5 * page_size() + little);
  for (std::size_t i = 99; i < count; i += 700) expect_right(i);
  for (std::size_t i = 0; i < count; ++i) {  // the same memory serves again
    if (i % 100 != 99) snapshots_[i] = arena_->snapshot();
    put_mark(*arena_, 60, i);
  }
  for (std::size_t i = 99; i < count; i += 700) expect_right(i);
}

TEST_P(BooksMemory, is_told_as_the_kernel_counts_it) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's own memory is in the kernel's figure";
  take_all();
  EXPECT_NEAR(static_cast<double>(more_books()), static_cast<double>(more_private_memory()),
              0.05 * static_cast<double>(more_books()) + static_cast<double>(little) / 4);
}

TEST_P(BooksMemory, swings_without_growing) {
  constexpr std::size_t pages = 20'000;
  Arena arena = make_arena(pages);
  std::uint64_t early = 0;
  for (std::uint64_t round = 1; round <= 6; ++round) {
    const Snapshot before = arena.snapshot();
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, round);
    ASSERT_EQ(mark_of(before, pages / 2), round - 1);
    if (round == 2) early = arena.stats().bookkeeping_bytes;
  }
  EXPECT_LE(arena.stats().bookkeeping_bytes, early + little / 2);
}

}  // namespace
}  // namespace cow::test

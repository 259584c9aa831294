// Promise: stats() tells the mappings that the kernel has, under each barrier, and writes scattered over any range keep
// to the budget, whatever lies between them: other code in the process can still map memory.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "books/arena_books.hpp"
#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

/// The budget of the process, lowered for as long as an object lives: `more` than is used now.
class LoweredBudget {
 public:
  explicit LoweredBudget(std::uint64_t more) : before_(MappingBudget::limit()) {
    MappingBudget::set_limit(MappingBudget::used + more);
  }
  LoweredBudget(const LoweredBudget&) = delete;
  LoweredBudget& operator=(const LoweredBudget&) = delete;
  ~LoweredBudget() { MappingBudget::set_limit(before_); }

 private:
  std::uint64_t before_;
};

class MappingBudgetTest : public BarrierTest {
 protected:
  // Farther apart than any block or window that a fault takes along.
  static constexpr std::size_t stride_bytes = std::size_t{4} << 20;
  static std::size_t stride() { return stride_bytes / page_size(); }
  static constexpr std::uint64_t budget = 400, slack = 16;

  static std::uint64_t kernel_mappings(const Arena& arena) {
    return mappings_of(arena.data(), arena.capacity()).size();
  }
  static void touch(const Arena& arena, std::size_t count, std::uint64_t value) {
    for (std::size_t i = 0; i < count; ++i) put_mark(arena, i * stride(), value + i);
  }
  static void expect_touched(const Arena& arena, std::size_t count, std::uint64_t value) {
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(mark_of(arena, i * stride()), value + i) << i;
  }
};
COW_FOR_EVERY_BARRIER(MappingBudgetTest);

TEST_P(MappingBudgetTest, is_charged_with_what_the_kernel_has) {
  Arena arena = make_arena(100 * stride());
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  touch(arena, 10, 1);
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  fill_run(arena, 30 * stride() + 500, 1100, 2);  // over the ends of what a page table spans
  arena.prepare_write(page_at(arena, 50 * stride() + 100), 3 * stride_bytes);
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  const Snapshot snapshot = arena.snapshot();
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  const View view = snapshot.view();
  for (std::size_t page = 0; page < 12 * stride(); page += 300) put_mark(arena, page, 3);  // some of them move
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  arena.discard(arena.data(), 5 * stride_bytes);
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  const Snapshot later = arena.snapshot();
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
}

TEST_P(MappingBudgetTest, holds_for_first_touches_far_apart) {
  constexpr std::size_t count = 1000;
  Arena arena = make_arena(count * stride());
  const LoweredBudget lowered(budget);
  touch(arena, count, 1);
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  EXPECT_LE(kernel_mappings(arena), budget + slack);
  EXPECT_LE(arena.stats().process_mappings, arena.stats().process_mapping_budget + slack);
  expect_touched(arena, count, 1);
  touch(arena, count, 5000);
  EXPECT_LE(kernel_mappings(arena), budget + slack);
  expect_touched(arena, count, 5000);
}

TEST_P(MappingBudgetTest, holds_for_first_touches_from_both_ends_and_in_the_middle) {
  constexpr std::size_t count = 999;
  Arena arena = make_arena(count * stride());
  const LoweredBudget lowered(budget);
  for (std::size_t i = 0; i < count; ++i) put_mark(arena, i * 500 % count * stride(), i * 500 % count + 1);
  EXPECT_LE(kernel_mappings(arena), budget + slack);
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
  expect_touched(arena, count, 1);
}

TEST_P(MappingBudgetTest, holds_with_snapshots_and_changes_nothing_in_them) {
  constexpr std::size_t count = 600;
  Arena arena = make_arena(count * stride());
  const LoweredBudget lowered(budget);
  std::vector<Snapshot> snapshots;
  for (std::uint64_t round = 0; round < 4; ++round) {
    snapshots.push_back(arena.snapshot());
    touch(arena, count, 1000 * round + 1);
    EXPECT_LE(kernel_mappings(arena), budget + slack);
  }
  for (std::uint64_t round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(mark_of(snapshots[round], i * stride()), round == 0 ? 0 : 1000 * (round - 1) + 1 + i);
    }
  }
  arena.rollback(snapshots[2]);
  expect_touched(arena, count, 1001);
  EXPECT_LE(kernel_mappings(arena), budget + slack);
  EXPECT_EQ(arena.stats().mappings, kernel_mappings(arena));
}

TEST_P(MappingBudgetTest, leaves_to_one_arena_what_others_have_used_up) {
  constexpr std::size_t count = 400;
  Arena first = make_arena(count * stride()), second = make_arena(count * stride());
  const LoweredBudget lowered(budget);
  touch(first, count, 1);
  touch(second, count, 1);
  EXPECT_LE(kernel_mappings(first) + kernel_mappings(second), budget + 2 * slack);
  expect_touched(first, count, 1);
  expect_touched(second, count, 1);
}

// What the program asked to be writable stays so until the next snapshot: the kernel may be about to write there.
TEST_P(MappingBudgetTest, is_not_held_at_the_cost_of_pages_that_were_prepared) {
  constexpr std::size_t count = 600;
  Arena arena = make_arena(count * stride());
  const LoweredBudget lowered(budget);
  for (std::size_t i = 0; i < 20; ++i) arena.prepare_write(page_at(arena, i * stride() + 100), page_size());
  touch(arena, count, 1);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  for (std::size_t i = 0; i < 20; ++i) {
    ASSERT_EQ(::write(ends[1], "word", 4), 4);
    EXPECT_EQ(::read(ends[0], page_at(arena, i * stride() + 100), 4), 4) << i;
  }
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_LE(kernel_mappings(arena), budget + slack);
}

TEST_P(MappingBudgetTest, leaves_prepared_pages_open_while_those_around_them_become_one_mapping) {
  constexpr std::size_t page = 100, pages = 1024;  // as long as a window gets, so that it takes long
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  ASSERT_NE(zeros, -1);
  std::atomic<bool> stop{false}, prepared{false};
  std::atomic<std::uint64_t> turns{0}, failed{0};
  std::thread reader([&] {
    for (; !stop; ++turns) {
      if (prepared && ::read(zeros, page_at(arena, page), page_size()) != static_cast<ssize_t>(page_size())) ++failed;
    }
  });
  const auto let_it_read = [&] {
    for (const std::uint64_t enough = turns + 3; turns < enough;) std::this_thread::yield();
  };
  for (int round = 0; round < 30; ++round) {
    const Snapshot snapshot = arena.snapshot();
    arena.prepare_write(page_at(arena, page), page_size());
    const LoweredBudget lowered(4);
    prepared = true;
    let_it_read();
    for (const std::size_t far : {500U, 700U, 900U}) put_mark(arena, far, 3);
    let_it_read();
    prepared = false;
    let_it_read();
  }
  stop = true;
  reader.join();
  ::close(zeros);
  EXPECT_EQ(failed, 0U);
}

// Pages are closed for others in turn; an instruction that needs two of them must find both open at some time.
TEST_P(MappingBudgetTest, lets_a_store_over_the_end_of_a_page_through_when_it_is_used_up) {
  Arena arena = make_arena(100);
  fill_run(arena, 0, 100, 1);
  const Snapshot snapshot = arena.snapshot();
  const LoweredBudget lowered(0);
  for (const std::size_t page : {40U, 20U, 60U}) {
    std::byte* const target = page_at(arena, page) - 4;
    const std::uint64_t value = 0x1111111111111111 * page;
    std::memcpy(target, &value, sizeof value);  // one instruction
    EXPECT_EQ(std::memcmp(target, &value, sizeof value), 0);
  }
  EXPECT_TRUE(shows(snapshot, Picture(100, 1)));
}

TEST_P(MappingBudgetTest, holds_beside_a_discard_that_takes_all_content_away) {
  constexpr std::size_t count = 600;
  Arena arena = make_arena(count * stride());
  const LoweredBudget lowered(budget);
  touch(arena, count, 1);
  arena.discard(arena.data(), arena.capacity());
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(mark_of(arena, i * stride()), 0U) << i;
  EXPECT_LE(kernel_mappings(arena), budget + slack);
}

}  // namespace
}  // namespace cow::test

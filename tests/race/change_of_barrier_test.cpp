// Race: the kernel barrier gives way to one with signals, at a cut that is not quiet, while a thread writes the arena.
// Promise: each of its stores is in the arena, and in the version whole or not at all.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 4096;

/// Stores ascending numbers to pages here and there, until told to stop; tells what it has stored to each.
std::vector<std::uint64_t> write_until(Arena& arena, const std::atomic<bool>& stop, std::atomic<std::uint64_t>& stored) {
  std::vector<std::uint64_t> last(pages);
  for (std::uint64_t number = 1; !stop.load(std::memory_order_relaxed); ++number) {
    const std::size_t page = number * 1'000'003 % pages;
    store_word(page_at(arena, page), number);
    last[page] = number;
    stored.store(number, std::memory_order_release);
  }
  return last;
}

TEST(ChangeOfBarrier, loses_no_store_of_another_thread) {
  if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  for (int round = 0; round < (under_sanitizer ? 10 : 60); ++round) {
    Arena arena(options_for(Barrier::kernel, pages));
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> stored{0};
    std::vector<std::uint64_t> last;
    std::thread writer([&] { last = write_until(arena, stop, stored); });
    while (stored.load(std::memory_order_acquire) < 200U * static_cast<unsigned>(round % 20 + 1)) {
    }
    const std::uint64_t before = stored.load(std::memory_order_acquire);
    const Snapshot cut = arena.snapshot();
    const std::uint64_t after = stored.load(std::memory_order_acquire);
    stop = true;
    writer.join();
    EXPECT_NE(arena.barrier(), Barrier::kernel);
    for (std::size_t page = 0; page < pages; ++page) {
      ASSERT_EQ(load_word(page_at(arena, page)), last[page]) << "page " << page << ", round " << round;
    }
    for (std::uint64_t number = before > pages ? before - pages + 1 : 1; number <= before; ++number) {
      ASSERT_GE(mark_of(cut, number * 1'000'003 % pages), number) << "it was stored before the cut";
    }
    for (std::size_t page = 0; page < pages; ++page) ASSERT_LE(mark_of(cut, page), after + 1) << "page " << page;
  }
}

}  // namespace
}  // namespace cow::test

// Promise: what was written since the last cut counts as written, under the kernel barrier too, whose books learn of it
// at the next one; with threads that write as with one.
#include <algorithm>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class AccountBetweenCuts : public BarrierTest {
 protected:
  static constexpr std::size_t pages = 4096;

  Arena make(UpdateGate& gate) const {
    ArenaOptions options = options_for(GetParam(), pages);
    options.gate = &gate;
    return Arena(options);
  }
};
COW_FOR_EVERY_BARRIER(AccountBetweenCuts);

/// Sums are the kernel's, and nothing that was written is told as only read.
void expect_right(const Arena& arena, std::size_t written, const char* when) {
  const MemoryAccount account = account_memory(arena);
  EXPECT_EQ(account.live_bytes - account.untouched_bytes, written * page_size()) << when << "\n" << to_text(account);
  EXPECT_EQ(account.read_only_bytes, 0U) << when << "\n" << to_text(account);
  EXPECT_EQ(account.total(), account.kernel_bytes) << when << "\n" << to_text(account);
}

TEST_P(AccountBetweenCuts, counts_what_no_cut_has_seen_yet_as_written) {
  UpdateGate gate;
  Arena arena = make(gate);
  std::thread([&] { fill_run(arena, 0, 32, 1); }).join();
  expect_right(arena, 32, "before the first cut");
  const Snapshot first = arena.snapshot();
  expect_right(arena, 32, "after it");
  std::thread([&] { fill_run(arena, 64, 32, 2); }).join();
  expect_right(arena, 64, "pages beside those, before the next");
  (void)arena.snapshot();
  expect_right(arena, 64, "after that");
  arena.discard(page_at(arena, 64), 16 * page_size());
  (void)arena.snapshot();
  expect_right(arena, 48, "without discarded ones");
  fill_run(arena, 64, 16, 3);
  expect_right(arena, 64, "with those written again");
}

TEST_P(AccountBetweenCuts, adds_up_beside_clones_and_threads_whatever_they_write) {
  UpdateGate gate;
  Arena arena = make(gate);
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const auto write = [&](unsigned of_thread) {
      std::mt19937 random(seed * 16 + of_thread);
      UpdateGate::Updating updating(gate);
      for (int i = 0; i < 40; ++i) {
        fill(arena, random() % (pages / 2) * 2 + of_thread, seed);
        updating.between_updates();
      }
    };
    std::thread one([&] { write(0); }), other([&] { write(1); });
    const Snapshot beside = arena.snapshot();
    one.join(), other.join();
    const MemoryAccount account = account_memory(arena);
    ASSERT_EQ(account.total(), account.kernel_bytes) << "seed " << seed << "\n" << to_text(account);
    std::size_t written = 0;
    const Snapshot now = arena.snapshot();
    for (std::size_t page = 0; page < pages; ++page) written += mark_of(now, page) != 0 ? 1 : 0;
    ASSERT_GE(account.live_bytes, written * page_size()) << "seed " << seed << "\n" << to_text(account);
  }
}

}  // namespace
}  // namespace cow::test

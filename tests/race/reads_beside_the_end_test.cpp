// Race: Snapshot::read while the arena is destroyed. Promise: readers get the snapshot's content before, while and
// after the mapping goes that they may be reading from.
#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "books/live_readers.hpp"
#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 16;
constexpr int rounds = under_sanitizer ? 40 : 150;

class ReadsBesideTheEnd : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ReadsBesideTheEnd);

TEST_P(ReadsBesideTheEnd, show_the_snapshot_throughout) {
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    std::optional<Arena> arena = make_arena(pages);
    fill_run(*arena, 0, pages, 7);
    const Snapshot snapshot = arena->snapshot();
    fill(*arena, 3, 8);  // one page that is not read from the arena
    const auto* const words = reinterpret_cast<const std::uint64_t*>(arena->data());
    std::atomic<std::uint64_t> reads{0};
    Team team;
    for (std::size_t reader = 0; reader < 2; ++reader)
      team.keep_doing([&, page = reader]() mutable {
        page = (page + 5) % pages;
        Bytes out(page_size());
        snapshot.read(page * page_size(), out);
        EXPECT_TRUE(filled(out.data(), 7)) << "page " << page;
        EXPECT_EQ(snapshot.read(words + page * words_in_page() + 9), 7U);
        reads.fetch_add(1);
      });
    while (reads.load() < 4) std::this_thread::yield();
    arena.reset();
    // Whatever is mapped there next must not be what they read.
    std::optional<Arena> next = make_arena(pages);
    fill_run(*next, 0, pages, 9);
    for (const std::uint64_t before = reads.load(); reads.load() < before + 4;) std::this_thread::yield();
  }
}

// The arena goes first, then the snapshot that was read until then, by another thread.
TEST_P(ReadsBesideTheEnd, may_be_the_last_use_of_the_snapshot) {
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    std::optional<Arena> arena = make_arena(pages);
    fill_run(*arena, 0, pages, 7);
    std::thread reader([snapshot = arena->snapshot()]() mutable {
      Bytes out(snapshot.capacity());
      snapshot.read(0, out);
      snapshot = Snapshot();
      for (std::size_t page = 0; page < pages; ++page) EXPECT_TRUE(filled(out.data() + page * page_size(), 7));
    });
    if (round % 2 == 0) std::this_thread::yield();
    arena.reset();
    reader.join();
  }
}

TEST(TheGateOfReaders, closes_when_the_last_has_left_and_lets_nobody_in_again) {
  for (int round = 0; round < rounds / 3; ++round) {
    LiveReaders gate;
    std::atomic<int> inside{0};
    std::atomic<bool> closed{false};
    Team team;
    for (int reader = 0; reader < 3; ++reader)
      team.keep_doing([&] {
        const LiveReader here(gate);
        if (!here) return;
        inside.fetch_add(1);
        EXPECT_FALSE(closed.load());
        inside.fetch_sub(1);
      });
    std::this_thread::yield();
    EXPECT_FALSE(gate.is_closed());
    gate.close();
    closed.store(true);
    EXPECT_EQ(inside.load(), 0);
    EXPECT_TRUE(gate.is_closed());
    EXPECT_FALSE(static_cast<bool>(LiveReader(gate)));
  }
}

}  // namespace
}  // namespace cow::test

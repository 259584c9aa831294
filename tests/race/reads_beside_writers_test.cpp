// Race: Snapshot::read beside a writer. Promise: it is never torn and shows the snapshot, wherever the page is by then.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 24;

void fill_atomically(const Arena& arena, std::size_t page, std::uint64_t value) {
  for (std::size_t word = 0; word < words_in_page(); ++word) store_word(page_at(arena, page) + 8 * word, value);
}

/// The newest snapshot and the value that fills every page of it, handed from the writer to the readers.
class Handover {
 public:
  void put(Snapshot snapshot, std::uint64_t value) {
    const std::lock_guard lock(mutex_);
    current_ = {std::move(snapshot), value};
  }
  std::pair<Snapshot, std::uint64_t> get() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

 private:
  mutable std::mutex mutex_;
  std::pair<Snapshot, std::uint64_t> current_;
};

class ReadsBesideWriters : public BarrierTest {
 protected:
  // The writer fills all pages with one value, takes a snapshot, hands it over and goes on with the next value at
  // once; readers read that snapshot meanwhile. `also` is what the writer does after each snapshot; `let_go` drops
  // what that holds at the end.
  void expect_whole_reads(const std::function<void(Arena&, std::uint64_t)>& also,
                          const std::function<void()>& let_go = [] {}) {
    Arena arena = make_arena(pages);
    Handover newest;
    std::uint64_t value = 0;
    std::atomic<std::uint64_t> reads{0};
    Team team;
    team.keep_doing([&] {
      ++value;
      for (std::size_t page = 0; page < pages; ++page) fill_atomically(arena, page, value);
      newest.put(arena.snapshot(), value);
      also(arena, value);
    });
    for (int reader = 0; reader < 2; ++reader)
      team.keep_doing([&, page = static_cast<std::size_t>(reader)]() mutable {
        const auto [snapshot, expected] = newest.get();
        if (!snapshot) return;
        Bytes out(page_size());
        for (int times = 0; times < 20; ++times) {
          page = (page + 7) % pages;
          snapshot.read(page * page_size(), out);
          EXPECT_TRUE(filled(out.data(), expected)) << "page " << page;
          std::uint64_t last = 0;  // a small part is read in another way
          snapshot.read((page + 1) * page_size() - sizeof last, std::as_writable_bytes(std::span(&last, 1)));
          EXPECT_EQ(last, expected) << "the last word of page " << page;
          reads.fetch_add(1);
        }
      });
    for (const Until racing; racing || reads.load() < 1000;) std::this_thread::yield();
    team.stop();
    newest.put(Snapshot(), 0);
    let_go();
    EXPECT_EQ(arena.stats().snapshots_alive, 0U);
    EXPECT_EQ(arena.stats().history_frames_used, 0U);
  }
};
COW_FOR_EVERY_BARRIER(ReadsBesideWriters);

TEST_P(ReadsBesideWriters, are_never_torn_when_before_images_go_to_history) {
  expect_whole_reads([](Arena&, std::uint64_t) {});
}

TEST_P(ReadsBesideWriters, are_never_torn_when_the_writer_moves_away) {
  View view;
  expect_whole_reads([&view](Arena& arena, std::uint64_t) { view = arena.snapshot().view(); },
                     [&view] { view = View(); });
}

TEST_P(ReadsBesideWriters, are_never_torn_beside_discards) {
  expect_whole_reads([](Arena& arena, std::uint64_t value) {
    arena.discard(page_at(arena, value % pages), (pages - value % pages) * page_size());
  });
}

TEST_P(ReadsBesideWriters, are_never_torn_beside_rollbacks) {
  Snapshot target;
  expect_whole_reads(
      [&target](Arena& arena, std::uint64_t value) {
        if (value % 4 == 1) target = arena.snapshot();
        if (value % 4 == 3) arena.rollback(target);
        if (value % 4 == 3) target = Snapshot();
      },
      [&target] { target = Snapshot(); });
}

TEST_P(ReadsBesideWriters, are_never_torn_when_the_snapshots_around_go) {
  std::vector<Snapshot> around(5);
  expect_whole_reads(
      [&around](Arena& arena, std::uint64_t value) {
        around[value * 3 % around.size()] = arena.snapshot();
        around[(value * 7 + 1) % around.size()] = Snapshot();
        if (value % 50 == 0) around.assign(around.size(), Snapshot());
      },
      [&around] { around.clear(); });
}

// One thread makes all pages writable, which moves them, since a view shows them: in one call, so that the last page is
// open to another thread's store while the books are still being brought up to date.
TEST_P(ReadsBesideWriters, show_no_store_to_a_page_that_has_just_moved) {
  constexpr std::size_t many = 512;
  Arena arena = make_arena(many);
  std::byte* const last = page_at(arena, many - 1);
  fill_run(arena, 0, many, 1);
  std::uint64_t value = 0;
  std::chrono::nanoseconds longest{400'000};
  for (const Until racing; racing;) {
    arena.prepare_write(arena.data(), arena.capacity());
    store_word(last, ++value);
    const Snapshot snapshot = arena.snapshot();
    const View view = snapshot.view();
    const auto began = std::chrono::steady_clock::now();
    std::jthread mover([&] { arena.prepare_write(arena.data(), arena.capacity()); });
    const auto moment = began + longest * static_cast<int>(value * 37 % 100) / 100;
    while (std::chrono::steady_clock::now() < moment) {
    }
    store_word(last, value + 1'000'000);
    ASSERT_EQ(mark_of(snapshot, many - 1), value);
    mover.join();
    longest = (longest * 9 + (std::chrono::steady_clock::now() - began)) / 10;
  }
}

// Reading goes into a protected page of the same arena: two faults may meet on the way.
TEST_P(ReadsBesideWriters, may_go_into_the_arena_that_is_written) {
  Arena arena = make_arena(pages + 2);
  for (std::size_t page = 0; page < pages; ++page) fill_atomically(arena, page, 1);
  const Snapshot snapshot = arena.snapshot();
  std::uint64_t value = 1;
  Team team;
  team.keep_doing([&] {
    ++value;
    for (std::size_t page = 0; page < pages; ++page) fill_atomically(arena, page, value);
  });
  for (const Until racing; racing;) {
    const Snapshot protects = arena.snapshot();
    for (std::size_t page = 0; page < pages; ++page) {
      snapshot.read(page * page_size(), std::span(page_at(arena, pages), page_size()));
      ASSERT_TRUE(filled(page_at(arena, pages), 1)) << "page " << page;
    }
  }
}

}  // namespace
}  // namespace cow::test

// Promise of the kernel barrier: what a device writes into a buffer that was prepared, and registered after the first
// snapshot, is in the arena, in the next snapshot, and gone after a rollback, wherever the buffer lies.
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/io_ring.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 4096, extent = 512;
constexpr std::size_t buffer = 2 * extent + 7;  // where nobody has written yet

class PinnedBuffers : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
    if (!*ring) GTEST_SKIP() << "io_uring is not to be had here";
    ASSERT_EQ(::pipe(ends), 0);
  }
  void TearDown() override {
    for (const int end : ends) {
      if (end != -1) ::close(end);
    }
  }

  static Arena make() {
    return quiet_arena(Barrier::kernel, pages);
  }

  /// Once for each ring.
  bool begin(Arena& arena) {
    arena.prepare_write(page_at(arena, buffer), page_size());
    return pin(arena);
  }
  bool pin(Arena& arena) { return ring->register_buffer(page_at(arena, buffer), page_size()); }

  void transfer(Arena& arena, const std::string& text) {
    arena.prepare_write(page_at(arena, buffer), page_size());
    ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ASSERT_TRUE(ring->begin_read(ends[0], page_at(arena, buffer), text.size(), true));
    ASSERT_EQ(ring->wait(), static_cast<int>(text.size()));
  }
  static std::string text_in(const Arena& arena) {
    return {reinterpret_cast<const char*>(arena.data()) + buffer * page_size()};
  }
  static std::string text_in(const Snapshot& snapshot) {
    char text[16] = {};
    snapshot.read(buffer * page_size(), std::as_writable_bytes(std::span(text)));
    return text;
  }

  /// A rollback each, and a snapshot each with a store beside.
  void expect_every_transfer(Arena& arena) {
    Snapshot last = arena.snapshot();
    const std::string before = text_in(arena);
    for (int i = 1; i <= 3; ++i) {
      transfer(arena, "rolled back " + std::to_string(i));
      EXPECT_EQ(text_in(arena), "rolled back " + std::to_string(i));
      arena.rollback(last);
      EXPECT_EQ(text_in(arena), before);
    }
    std::string expected = before;
    for (int i = 1; i <= 3; ++i) {
      transfer(arena, "transfer " + std::to_string(i));
      EXPECT_EQ(text_in(last), expected);
      expected = "transfer " + std::to_string(i);
      EXPECT_EQ(text_in(arena), expected);
      page_at(arena, buffer)[100] = std::byte{1};
      last = arena.snapshot();
      EXPECT_EQ(text_in(last), expected);
    }
  }

  std::optional<IoRing> ring{std::in_place};
  int ends[2] = {-1, -1};
};

#define COW_PINNED_OR_SKIP(pinned) \
  if (!(pinned)) GTEST_SKIP() << "the kernel pins no memory here"

TEST_F(PinnedBuffers, where_nobody_has_written_yet_stay_the_arenas_memory) {
  Arena arena = make();
  put_mark(arena, 0, 1);
  const Snapshot first = arena.snapshot();
  COW_PINNED_OR_SKIP(begin(arena));
  transfer(arena, "one");
  arena.rollback(first);
  EXPECT_EQ(text_in(arena), "");
  expect_every_transfer(arena);
  EXPECT_EQ(text_in(first), "");
}

TEST_F(PinnedBuffers, prepared_before_the_first_snapshot_and_registered_after_it_stay_too) {
  Arena arena = make();
  put_mark(arena, 0, 1);
  arena.prepare_write(page_at(arena, buffer), page_size());
  const Snapshot first = arena.snapshot();
  COW_PINNED_OR_SKIP(pin(arena));
  expect_every_transfer(arena);
}

TEST_F(PinnedBuffers, of_clones_stay_too) {
  Arena arena = make();
  put_mark(arena, 0, 1);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  COW_PINNED_OR_SKIP(begin(clone));
  for (int i = 1; i <= 2; ++i) {
    transfer(clone, "in the clone");
    EXPECT_EQ(text_in(clone), "in the clone");
    clone.rollback(base);
    EXPECT_EQ(text_in(clone), "");
  }
  expect_every_transfer(clone);
  EXPECT_EQ(text_in(arena), "");
}

TEST_F(PinnedBuffers, are_registered_anew_after_a_discard) {
  Arena arena = make();
  put_mark(arena, 0, 1);
  const Snapshot first = arena.snapshot();
  COW_PINNED_OR_SKIP(begin(arena));
  transfer(arena, "gone");
  const Snapshot second = arena.snapshot();
  arena.discard(page_at(arena, buffer), page_size());
  EXPECT_EQ(text_in(arena), "");
  EXPECT_EQ(text_in(second), "gone");
  ring.emplace();
  ASSERT_TRUE(begin(arena));
  expect_every_transfer(arena);
}

// The caveat, and the remedy.
TEST_F(PinnedBuffers, registered_before_the_first_snapshot_are_other_memory_until_they_are_registered_again) {
  Arena arena = make();
  COW_PINNED_OR_SKIP(begin(arena));
  transfer(arena, "before");
  EXPECT_EQ(text_in(arena), "before");
  const Snapshot first = arena.snapshot();
  EXPECT_EQ(text_in(first), "before");
  page_at(arena, buffer)[100] = std::byte{1};
  transfer(arena, "missed");
  EXPECT_EQ(text_in(arena), "before");
  ring.emplace();
  ASSERT_TRUE(begin(arena));
  expect_every_transfer(arena);
}

/// Runs with each kernel call of a prepare_write() refused, until none is.
void with_each_call_refused(const std::function<void(const std::function<void(Arena&)>& prepare)>& f) {
  bool refused = true;
  for (std::int64_t nth = 1; refused; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth) + " refused");
    f([&](Arena& arena) {
      refused = false;
      os::fail_after(nth);
      try {
        arena.prepare_write(page_at(arena, buffer), 2 * page_size());
      } catch (const std::system_error&) {
        refused = true;
      }
      os::fail_after(0);
    });
    ASSERT_LT(nth, 50);
  }
}

TEST_F(PinnedBuffers, that_cannot_be_prepared_leave_what_was_written_beside_them) {
  for (const bool cut : {false, true}) {
    with_each_call_refused([&](const std::function<void(Arena&)>& prepare) {
      Arena arena = make();
      put_mark(arena, 0, 1);
      const Snapshot first = arena.snapshot();
      Arena clone = first.clone();
      for (Arena* const each : {&arena, &clone}) {
        put_mark(*each, buffer + 20, 5);
        prepare(*each);
        put_mark(*each, buffer + 1, 6);
        EXPECT_EQ(mark_of(*each, buffer + 20), 5U);
        if (cut) {
          const Snapshot second = each->snapshot();
          put_mark(*each, buffer + 20, 7);
          EXPECT_EQ(mark_of(second, buffer + 20), 5U);
          EXPECT_EQ(mark_of(second, buffer + 1), 6U);
          EXPECT_EQ(mark_of(second, buffer), 0U);
        }
        each->rollback(first);
        EXPECT_EQ(mark_of(*each, buffer + 20), 0U);
        EXPECT_EQ(mark_of(*each, buffer + 1), 0U);
        EXPECT_EQ(mark_of(first, buffer + 20), 0U);
        EXPECT_EQ(mark_of(*each, 0), 1U);
      }
    });
  }
}

TEST_F(PinnedBuffers, are_prepared_beside_writers_none_of_whose_stores_is_missed) {
  for (int round = 0; round < 4; ++round) {
    Arena arena = make();
    put_mark(arena, 0, 1);
    const Snapshot first = arena.snapshot();
    std::atomic<std::uint64_t> written{0};
    {
      Team team;
      team.keep_doing([&] {
        const std::uint64_t page = 1 + written.load() % (pages - 1);
        store_word(page_at(arena, page), page);
        written.store(page);
      });
      while (written.load() < 10) std::this_thread::yield();
      for (std::size_t at = extent / 2; at < pages; at += extent) arena.prepare_write(page_at(arena, at), page_size());
      const std::uint64_t then = written.load();
      while (written.load() < pages - 1 && written.load() >= then) std::this_thread::yield();
    }
    std::uint64_t seen = 0;
    for (std::size_t page = 1; page < pages; ++page) seen += mark_of(arena, page) == 0 ? 0U : 1U;
    const Snapshot second = arena.snapshot();
    std::uint64_t kept = 0;
    for (std::size_t page = 1; page < pages; ++page) kept += mark_of(second, page) == 0 ? 0U : 1U;
    EXPECT_GE(seen, 10U);
    EXPECT_EQ(kept, seen);
    arena.rollback(first);
    for (std::size_t page = 1; page < pages; ++page) ASSERT_EQ(mark_of(arena, page), 0U) << page;
  }
}

}  // namespace
}  // namespace cow::test

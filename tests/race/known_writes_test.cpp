// Race: batches of write() beside snapshot(), plain stores and each other. Promise: a snapshot has the whole of a batch
// or nothing of it, and no store to another byte of the same pages is lost or comes out of its order.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 96;
constexpr std::size_t of_batch = 24;       // pages that each batch writes
constexpr std::size_t batch_threads = 2;   // each has words of its own in these pages
constexpr std::size_t store_threads = 2;   // and so has each of those that store plainly

std::size_t page_of_part(std::size_t part) { return part * 37 % pages; }
std::size_t batch_word(std::size_t thread) { return 8 + thread; }
std::size_t store_word_of(std::size_t thread) { return 100 + thread; }

using Content = std::vector<std::byte>;

Content content_of(const Snapshot& snapshot, std::size_t turn) {
  Content bytes(snapshot.capacity());
  if (turn % 3 == 0) {
    snapshot.read(0, bytes);
  } else if (turn % 3 == 1) {
    const View view = snapshot.view();
    std::memcpy(bytes.data(), view.data(), bytes.size());
  } else {
    const Arena clone = snapshot.clone();
    std::memcpy(bytes.data(), clone.data(), bytes.size());
  }
  return bytes;
}

std::uint64_t word_of(const Content& content, std::size_t page, std::size_t word) {
  return mark_of(content.data() + page * page_size() + 8 * word);
}

testing::AssertionResult has_whole_batches(const Content& content) {
  for (std::size_t thread = 0; thread < batch_threads; ++thread)
    for (std::size_t part = 1; part < of_batch; ++part) {
      const std::uint64_t first = word_of(content, page_of_part(0), batch_word(thread));
      const std::uint64_t found = word_of(content, page_of_part(part), batch_word(thread));
      if (found != first)
        return testing::AssertionFailure() << "thread " << thread << ", part " << part << ": " << found << " beside "
                                           << first;
    }
  return testing::AssertionSuccess();
}

/// Plain stores go over the pages in order, with a number that grows by one each time round.
testing::AssertionResult has_stores_in_order(const Content& content) {
  for (std::size_t thread = 0; thread < store_threads; ++thread) {
    std::uint64_t number = word_of(content, 0, store_word_of(thread));
    const std::uint64_t newest = number;
    for (std::size_t page = 1; page < pages; ++page) {
      const std::uint64_t next = word_of(content, page, store_word_of(thread));
      if (next != number && !(number == newest && next + 1 == number))
        return testing::AssertionFailure() << "page " << page << " has " << next << " after " << number;
      number = next;
    }
  }
  return testing::AssertionSuccess();
}

class KnownWritesBeside : public BarrierTest {
 protected:
  /// `looks`: in which ways snapshots are looked at; views and clones make writers move.
  void race(const std::vector<std::size_t>& looks) {
    Arena arena = make_arena(pages);
    std::uint64_t written[batch_threads] = {}, stored[store_threads] = {};
    Team team;
    for (std::size_t thread = 0; thread < batch_threads; ++thread)
      team.keep_doing([&arena, thread, &number = written[thread]] {
        ++number;
        std::vector<Write> batch;
        for (std::size_t part = 0; part < of_batch; ++part)
          batch.push_back({page_at(arena, page_of_part(part)) + 8 * batch_word(thread), &number, sizeof number});
        arena.write(batch);
      });
    for (std::size_t thread = 0; thread < store_threads; ++thread)
      team.keep_doing([&arena, thread, &number = stored[thread]] {
        ++number;
        for (std::size_t page = 0; page < pages; ++page)
          store_word(page_at(arena, page) + 8 * store_word_of(thread), number);
      });
    std::size_t cuts = 0;
    Content last(arena.capacity());
    for (const Until racing; racing || cuts < 30; ++cuts) {
      const Content content = content_of(arena.snapshot(), looks[cuts % looks.size()]);
      ASSERT_TRUE(has_whole_batches(content)) << "cut " << cuts;
      ASSERT_TRUE(has_stores_in_order(content)) << "cut " << cuts;
      for (std::size_t thread = 0; thread < batch_threads; ++thread)
        ASSERT_GE(word_of(content, page_of_part(0), batch_word(thread)),
                  word_of(last, page_of_part(0), batch_word(thread)));
      last = content;
    }
    team.stop();
    for (std::size_t thread = 0; thread < batch_threads; ++thread) EXPECT_GT(written[thread], 0U);
    for (std::size_t part = 0; part < of_batch; ++part)
      for (std::size_t thread = 0; thread < batch_threads; ++thread)
        EXPECT_EQ(mark_of(page_at(arena, page_of_part(part)) + 8 * batch_word(thread)), written[thread]);
    for (std::size_t page = 0; page < pages; ++page)
      for (std::size_t thread = 0; thread < store_threads; ++thread)
        EXPECT_EQ(mark_of(page_at(arena, page) + 8 * store_word_of(thread)), stored[thread]);
    EXPECT_EQ(arena.stats().snapshots_alive, 0U);
    EXPECT_EQ(arena.stats().history_frames_used, 0U);
  }
};
COW_FOR_EVERY_BARRIER(KnownWritesBeside);

TEST_P(KnownWritesBeside, snapshots_and_stores_are_whole_and_lose_nothing) { race({0}); }

TEST_P(KnownWritesBeside, views_and_clones_and_stores_are_whole_and_lose_nothing) { race({0, 1, 2}); }

// What one thread stores, then hands to write(), then stores again is in that order in every snapshot.
TEST_P(KnownWritesBeside, stores_of_the_same_thread_keep_their_order) {
  Arena arena = make_arena(64);
  std::uint64_t number = 0;
  Team team;
  team.keep_doing([&] {
    ++number;
    store_word(page_at(arena, 5), number);
    arena.write(page_at(arena, 40), &number, sizeof number);
    store_word(page_at(arena, 20), number);
    arena.write({{page_at(arena, 41) - 8, &number, sizeof number}, {page_at(arena, 5) + 8, &number, sizeof number}});
  });
  std::size_t cuts = 0;
  for (const Until racing; racing || cuts < 30; ++cuts) {
    const Content content = content_of(arena.snapshot(), cuts);
    const std::uint64_t steps[] = {word_of(content, 5, 0), word_of(content, 40, 0), word_of(content, 20, 0),
                                   word_of(content, 40, words_in_page() - 1)};
    for (std::size_t i = 1; i < std::size(steps); ++i) ASSERT_LE(steps[i], steps[i - 1]) << "cut " << cuts;
    ASSERT_LE(steps[0], steps[3] + 1);
    ASSERT_EQ(word_of(content, 5, 1), steps[3]);
  }
}

}  // namespace
}  // namespace cow::test

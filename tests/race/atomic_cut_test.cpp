// Race: snapshot() beside running writers. Promise: it is an atomic cut. Threads keep an order of writes over
// hundreds of pages; a snapshot that shows a write shows all writes that came before it.
#include <algorithm>
#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages_of_each = 211;  // a prime: every stride goes through all of them

/// Write number k (from 1) of a thread goes to its place number k * stride. Neighbouring pages belong to
/// different threads.
struct OrderedWriter {
  std::size_t index;   // of the thread
  std::size_t threads;
  std::size_t stride;
  std::uint64_t done = 0;

  std::size_t page_of(std::uint64_t number) const { return number * stride % pages_of_each * threads + index; }
  void write_next(const Arena& arena) {
    ++done;
    store_word(page_at(arena, page_of(done)), done);
  }
};

using MarkOf = std::function<std::uint64_t(std::size_t page)>;

std::uint64_t newest_write(const OrderedWriter& writer, const MarkOf& mark) {
  std::uint64_t newest = 0;
  for (std::uint64_t number = 0; number < pages_of_each; ++number)
    newest = std::max(newest, mark(writer.page_of(number)));
  return newest;
}

/// The last writes, one for each page, must all be there, and nothing after them.
testing::AssertionResult is_prefix(const OrderedWriter& writer, const MarkOf& mark) {
  const std::uint64_t newest = newest_write(writer, mark);
  for (std::uint64_t back = 0; back < pages_of_each && back < newest; ++back) {
    const std::uint64_t expected = newest - back;
    const std::uint64_t found = mark(writer.page_of(expected));
    if (found != expected)
      return testing::AssertionFailure() << "write " << newest << " is there, but page " << writer.page_of(expected)
                                         << " shows write " << found << " instead of " << expected;
  }
  return testing::AssertionSuccess();
}

struct Cut {
  std::vector<std::uint64_t> marks;
  MarkOf reader() const {
    return [this](std::size_t page) { return marks[page]; };
  }
};

template <class Shown>
Cut cut_of(const Shown& shown, std::size_t pages) {
  Cut cut;
  for (std::size_t page = 0; page < pages; ++page) cut.marks.push_back(mark_of(shown, page));
  return cut;
}

class AtomicCut : public BarrierTest {
 protected:
  // Each cut is looked at in one of the ways there are, in turn: what lends pages changes how writers go on.
  static Cut look_at(const Snapshot& snapshot, std::size_t pages, std::size_t turn) {
    if (turn % 3 == 0) return cut_of(snapshot.view(), pages);
    if (turn % 3 == 1) return cut_of(snapshot.clone(), pages);
    return cut_of(snapshot, pages);
  }

  void expect_prefixes(std::size_t threads, const std::function<Cut(Arena&, std::size_t turn)>& take) {
    Arena arena = make_arena(threads * pages_of_each);
    std::vector<OrderedWriter> writers;
    for (std::size_t index = 0; index < threads; ++index) writers.push_back({index, threads, 1 + index * 36});
    const std::vector<OrderedWriter> orders = writers;
    Team team;
    for (OrderedWriter& writer : writers) team.keep_doing([&arena, &writer] { writer.write_next(arena); });
    std::size_t cuts = 0;
    std::uint64_t last = 0;
    for (const Until racing; racing || cuts < 30; ++cuts) {
      const Cut cut = take(arena, cuts);
      for (const OrderedWriter& order : orders) ASSERT_TRUE(is_prefix(order, cut.reader())) << "cut " << cuts;
      const std::uint64_t newest = newest_write(orders[0], cut.reader());
      ASSERT_GE(newest, last) << "a later cut shows less";
      last = newest;
    }
    team.stop();
    EXPECT_GT(last, 0U) << "nothing was written meanwhile";
    const Cut at_rest = cut_of(arena, threads * pages_of_each);
    for (const OrderedWriter& order : orders) EXPECT_TRUE(is_prefix(order, at_rest.reader()));
  }
};
COW_FOR_EVERY_BARRIER(AtomicCut);

TEST_P(AtomicCut, of_one_writer_is_a_prefix_of_its_writes) {
  expect_prefixes(1, [](Arena& arena, std::size_t turn) {
    return look_at(arena.snapshot(), page_count(arena), turn);
  });
}

TEST_P(AtomicCut, of_three_writers_on_interleaved_pages_is_a_prefix_of_each) {
  expect_prefixes(3, [](Arena& arena, std::size_t turn) {
    return look_at(arena.snapshot(), page_count(arena), turn);
  });
}

TEST_P(AtomicCut, by_clone_is_a_prefix_of_each_writer) {
  expect_prefixes(2, [](Arena& arena, std::size_t) { return cut_of(arena.clone(), page_count(arena)); });
}

TEST_P(AtomicCut, that_is_kept_while_others_follow_stays_a_prefix) {
  std::vector<Snapshot> kept(7);
  expect_prefixes(2, [&kept](Arena& arena, std::size_t turn) {
    if (turn == 0) std::fill(kept.begin(), kept.end(), arena.snapshot());
    const Snapshot old = std::exchange(kept[turn % kept.size()], arena.snapshot());
    return cut_of(old, page_count(arena));
  });
}

TEST_P(AtomicCut, under_an_always_open_view_is_a_prefix) {
  View view;
  expect_prefixes(2, [&view](Arena& arena, std::size_t) {
    view = arena.snapshot().view();
    return cut_of(view, page_count(arena));
  });
}

// Two threads hand a turn over: B's write number k happens after A's, and A's next one after that.
TEST_P(AtomicCut, respects_what_one_thread_hands_over_to_another) {
  Arena arena = make_arena(2 * pages_of_each);
  OrderedWriter first{0, 2, 1};
  OrderedWriter second{1, 2, 37};
  const OrderedWriter first_order = first;
  const OrderedWriter second_order = second;
  std::atomic<int> turn{0};
  Team team;
  const auto play = [&](OrderedWriter& writer, int mine) {
    if (turn.load(std::memory_order_acquire) != mine) return std::this_thread::yield();
    writer.write_next(arena);
    turn.store(1 - mine, std::memory_order_release);
  };
  team.keep_doing([&] { play(first, 0); });
  team.keep_doing([&] { play(second, 1); });
  std::uint64_t newest_first = 0;
  std::size_t cuts = 0;
  for (const Until racing; racing || cuts < 30; ++cuts) {
    const Cut cut = look_at(arena.snapshot(), page_count(arena), cuts);
    ASSERT_TRUE(is_prefix(first_order, cut.reader()));
    ASSERT_TRUE(is_prefix(second_order, cut.reader()));
    newest_first = newest_write(first_order, cut.reader());
    const std::uint64_t newest_second = newest_write(second_order, cut.reader());
    ASSERT_LE(newest_second, newest_first);
    ASSERT_LE(newest_first, newest_second + 1);
  }
  EXPECT_GT(newest_first, 0U);
}

// Several threads take snapshots at the same time: each is a cut, and those of one thread are in order.
TEST_P(AtomicCut, can_be_taken_by_several_threads_at_once) {
  Arena arena = make_arena(2 * pages_of_each);
  std::vector<OrderedWriter> writers = {{0, 2, 1}, {1, 2, 36}};
  const std::vector<OrderedWriter> orders = writers;
  std::atomic<std::size_t> cuts{0};
  Team team;
  for (OrderedWriter& writer : writers) team.keep_doing([&arena, &writer] { writer.write_next(arena); });
  for (int taker = 0; taker < 2; ++taker)
    team.keep_doing([&arena, &orders, &cuts] {
      const Cut cut = look_at(arena.snapshot(), page_count(arena), cuts.fetch_add(1));
      for (const OrderedWriter& order : orders) EXPECT_TRUE(is_prefix(order, cut.reader()));
    });
  for (const Until racing; racing || cuts.load() < 30;) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  team.stop();
  EXPECT_EQ(arena.stats().snapshots_alive, 0U);
}

}  // namespace
}  // namespace cow::test

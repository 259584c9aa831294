// Cases that others have published of systems that merge memory, as facts: Determinator's private workspaces (Aviram
// and others, OSDI 2010), and the merge regions of Faabric's snapshots.
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "merge/differences.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

template <class T>
T& at(const Arena& arena, std::size_t offset) {
  return *reinterpret_cast<T*>(arena.data() + offset);
}

class Determinator : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Determinator);

// Threads of a simulation update an array of actors in place, each its own, and read the others': no races, since each
// reads what was there when all were forked.
TEST_P(Determinator, actors_updated_in_place_see_each_other_as_they_were) {
  constexpr std::size_t actors = 8;
  Arena arena = make_arena(4);
  for (std::size_t i = 0; i < actors; ++i) at<std::uint64_t>(arena, 8 * i) = i + 1;
  for (int step = 0; step < 3; ++step) {
    std::vector<std::uint64_t> expected;
    for (std::size_t i = 0; i < actors; ++i) {
      expected.push_back(at<std::uint64_t>(arena, 8 * i) + 10 * at<std::uint64_t>(arena, 8 * ((i + 1) % actors)));
    }
    const Snapshot fork = arena.snapshot();
    std::vector<Arena> children;
    for (std::size_t i = 0; i < actors; ++i) children.push_back(fork.clone());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < actors; ++i) {
      threads.emplace_back([&child = children[i], i] {
        at<std::uint64_t>(child, 8 * i) += 10 * at<std::uint64_t>(child, 8 * ((i + 1) % actors));
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (Arena& child : children) EXPECT_TRUE(merge(arena, fork, child.snapshot()).conflicts.empty());
    for (std::size_t i = 0; i < actors; ++i) EXPECT_EQ(at<std::uint64_t>(arena, 8 * i), expected[i]);
  }
}

// "x = y" in one thread and "y = x" in another always swap the two.
TEST_P(Determinator, two_assignments_at_once_swap) {
  Arena arena = make_arena(1);
  at<int>(arena, 0) = 1, at<int>(arena, 4) = 2;
  const Snapshot fork = arena.snapshot();
  Arena one = fork.clone(), other = fork.clone();
  at<int>(one, 0) = at<int>(one, 4);
  at<int>(other, 4) = at<int>(other, 0);
  for (Arena* const child : {&one, &other}) {
    const MergeReport join = merge(arena, fork, child->snapshot(), {.granule = 4, .on_conflict = {}, .regions = {}});
    EXPECT_TRUE(join.conflicts.empty());
  }
  EXPECT_EQ(at<int>(arena, 0), 2);
  EXPECT_EQ(at<int>(arena, 4), 1);
}

// Two writes to one variable are found whenever the threads ran, when the second of them joins.
TEST_P(Determinator, two_writes_to_one_variable_are_found_at_the_join) {
  Arena arena = make_arena(1);
  const Snapshot fork = arena.snapshot();
  Arena one = fork.clone(), other = fork.clone();
  at<int>(one, 16) = 1;
  at<int>(other, 16) = 2;
  EXPECT_TRUE(merge(arena, fork, one.snapshot()).conflicts.empty());
  EXPECT_EQ(merge(arena, fork, other.snapshot()).conflicts, (std::vector<ByteRange>{{16, 8}}));
  EXPECT_EQ(at<int>(arena, 16), 1);
}

// Writes to different bytes of one word do not conflict there: it compares bytes.
TEST_P(Determinator, neighbouring_bytes_are_no_conflict_at_the_granule_of_a_byte) {
  Arena arena = make_arena(1);
  const Snapshot fork = arena.snapshot();
  Arena child = fork.clone();
  arena.data()[0] = std::byte{1};
  child.data()[1] = std::byte{2};
  const Snapshot join = child.snapshot();
  EXPECT_EQ(merge(arena, fork, join).conflicts.size(), 1U);
  EXPECT_TRUE(merge(arena, fork, join, {.granule = 1, .on_conflict = {}, .regions = {}}).conflicts.empty());
  EXPECT_EQ(at<std::uint16_t>(arena, 0), 0x0201);
}

class Faabric : public BarrierTest {
 protected:
  /// One value in the middle of the second page: in the snapshot, then in the function's memory; and what the main
  /// thread's becomes, which has changed meanwhile too.
  template <class T>
  T merged(T original, T ours, T theirs, MergeRule rule) const {
    Arena arena = make_arena(3);
    const std::size_t offset = page_size() + 2 * sizeof(std::int64_t);
    at<T>(arena, offset) = original;
    const Snapshot snapshot = arena.snapshot();
    Arena function = snapshot.clone();
    at<T>(arena, offset) = ours;
    at<T>(function, offset) = theirs;
    MergeOptions options;
    options.regions.push_back({offset, sizeof(T), rule});
    EXPECT_TRUE(merge(arena, snapshot, function.snapshot(), options).conflicts.empty());
    return at<T>(arena, offset);
  }
};
COW_FOR_EVERY_BARRIER(Faabric);

TEST_P(Faabric, sums_add_what_each_side_added) {
  EXPECT_EQ(merged<std::int32_t>(100, 150, 90, MergeRule::sum_i32), 140);
  EXPECT_EQ(merged<std::int64_t>(513, 513, 945, MergeRule::sum_i64), 945);
  EXPECT_EQ(merged<std::int64_t>(513, 600, 945, MergeRule::sum_i64), 600 + 432);
  EXPECT_EQ(merged<double>(513, 600, 945, MergeRule::sum_f64), 600 + 432);
}

TEST_P(Faabric, extremes_take_the_further_one) {
  EXPECT_EQ(merged<std::int64_t>(10, 10, 200, MergeRule::max_i64), 200);
  EXPECT_EQ(merged<std::int64_t>(10, 300, 200, MergeRule::max_i64), 300);
  EXPECT_EQ(merged<std::int64_t>(30, 30, 10, MergeRule::min_i64), 10);
  EXPECT_EQ(merged<std::int64_t>(30, 5, 10, MergeRule::min_i64), 5);
}

TEST_P(Faabric, ignored_regions_stay) {
  EXPECT_EQ(merged<std::int64_t>(3, 3, 4, MergeRule::keep_ours), 3);
}

TEST_P(Faabric, neighbouring_numbers_are_summed_apart) {
  Arena arena = make_arena(3);
  const Snapshot snapshot = arena.snapshot();
  std::vector<Arena> functions;
  for (int i = 0; i < 4; ++i) functions.push_back(snapshot.clone());
  for (int i = 0; i < 4; ++i) {
    at<std::int32_t>(functions[static_cast<std::size_t>(i)], page_size()) = i;
    at<std::int32_t>(functions[static_cast<std::size_t>(i)], page_size() + 4) = -10 * i;
  }
  MergeOptions options;
  options.regions = {{page_size(), 4, MergeRule::sum_i32}, {page_size() + 4, 4, MergeRule::sum_i32}};
  for (Arena& function : functions) (void)merge(arena, snapshot, function.snapshot(), options);
  EXPECT_EQ(at<std::int32_t>(arena, page_size()), 6);
  EXPECT_EQ(at<std::int32_t>(arena, page_size() + 4), -60);
}

// Tightly packed changes: ten bytes, two behind a gap of one, one behind a gap of one, and another.
TEST_P(Faabric, tightly_packed_changes_are_told_apart) {
  Arena arena = make_arena(3);
  const Snapshot snapshot = arena.snapshot();
  for (const std::size_t i : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 11U, 12U, 14U, 16U}) arena.data()[i] = std::byte{1};
  std::vector<std::pair<std::size_t, std::size_t>> found;
  for (const auto& d : differences(snapshot, arena.snapshot())) found.emplace_back(d.offset, d.after.size());
  EXPECT_EQ(found, (std::vector<std::pair<std::size_t, std::size_t>>{{0, 10}, {11, 2}, {14, 1}, {16, 1}}));
}

}  // namespace
}  // namespace cow::test

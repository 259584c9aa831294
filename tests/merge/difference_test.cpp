// Promise: changed_between names every page in which two versions of a family differ, and few others, whatever clones
// lie between; for_each_difference tells the bytes.
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "merge/differences.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class DifferenceBetween : public BarrierTest {
 protected:
  static constexpr std::size_t pages = 1024, along = 32;  // pages that one write may bring along

  Arena filled_arena() const {
    Arena arena = make_arena(pages);
    fill_run(arena, 0, pages, 1);
    return arena;
  }
  static void expect_named(const Snapshot& a, const Snapshot& b, const std::vector<std::size_t>& written) {
    for (const auto& changed : {changed_between(a, b), changed_between(b, a)}) {
      for (const std::size_t page : written) EXPECT_TRUE(has_page(changed, page)) << page;
      EXPECT_LE(pages_in(changed), along * written.size());
      std::size_t end = 0;
      for (const PageRange& range : changed) {
        EXPECT_TRUE(range.count > 0 && (end == 0 || range.first > end)) << range.first;
        end = range.first + range.count;
      }
    }
    for (const std::size_t granule : {1U, 8U, 64U}) EXPECT_TRUE(is_exact(a, b, granule));
    EXPECT_TRUE(is_exact(b, a, 1));
  }
};
COW_FOR_EVERY_BARRIER(DifferenceBetween);

TEST_P(DifferenceBetween, a_version_and_itself_is_nothing) {
  Arena arena = filled_arena();
  const Snapshot snapshot = arena.snapshot();
  EXPECT_TRUE(changed_between(snapshot, snapshot).empty());
  EXPECT_TRUE(differences(snapshot, snapshot).empty());
}

TEST_P(DifferenceBetween, versions_of_one_arena_is_what_was_written_between) {
  Arena arena = filled_arena();
  put_mark(arena, 900, 2);
  const Snapshot first = arena.snapshot();
  put_mark(arena, 100, 2);
  Snapshot between = arena.snapshot();
  put_mark(arena, 200, 2);
  put_mark(arena, 100, 3);
  const Snapshot last = arena.snapshot();
  put_mark(arena, 300, 2);
  expect_named(first, last, {100, 200});
  expect_named(between, last, {100, 200});
  expect_named(first, between, {100});
  between = Snapshot();
  expect_named(first, last, {100, 200});
}

TEST_P(DifferenceBetween, pages_written_for_the_first_time_counts_them) {
  Arena arena = make_arena(pages);
  const Snapshot empty = arena.snapshot();
  put_mark(arena, 5, 1);
  const Snapshot written = arena.snapshot();
  arena.discard(page_at(arena, 5), page_size());
  const Snapshot discarded = arena.snapshot();
  expect_named(empty, written, {5});
  expect_named(written, discarded, {5});
}

TEST_P(DifferenceBetween, an_arena_and_its_clone_is_what_either_wrote) {
  Arena arena = filled_arena();
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  put_mark(clone, 10, 2);
  const Snapshot clones = clone.snapshot();
  put_mark(clone, 20, 2);
  put_mark(clone, 10, 3);
  put_mark(arena, 30, 2);
  const Snapshot arenas = arena.snapshot();
  put_mark(arena, 40, 2);
  expect_named(base, clones, {10});
  expect_named(arenas, clones, {10, 30});
  expect_named(base, clone.snapshot(), {10, 20});
}

TEST_P(DifferenceBetween, an_older_version_and_a_clone_adds_what_was_written_before_that_was_made) {
  Arena arena = filled_arena();
  const Snapshot old = arena.snapshot();
  put_mark(arena, 50, 2);
  Arena clone = arena.clone();
  put_mark(clone, 60, 2);
  expect_named(old, clone.snapshot(), {50, 60});
}

TEST_P(DifferenceBetween, relatives_whose_common_base_is_gone_is_known_all_the_same) {
  Arena arena = filled_arena();
  Arena clone = arena.clone();  // nobody keeps that version
  put_mark(arena, 70, 2);
  put_mark(clone, 80, 2);
  expect_named(arena.snapshot(), clone.snapshot(), {70, 80});
}

TEST_P(DifferenceBetween, two_clones_is_what_both_wrote) {
  Arena arena = filled_arena();
  Snapshot base = arena.snapshot();
  Arena one = base.clone(), other = base.clone();
  base = Snapshot();
  put_mark(one, 1, 2);
  put_mark(other, 500, 2);
  put_mark(arena, 800, 2);
  const Snapshot a = one.snapshot(), b = other.snapshot();
  expect_named(a, b, {1, 500});
  put_mark(one, 2, 3);
  expect_named(one.snapshot(), b, {1, 2, 500});
  { const Arena gone = std::move(arena); }
  { const Arena gone = std::move(one); }
  expect_named(a, b, {1, 500});
}

TEST_P(DifferenceBetween, clones_of_clones_is_known) {
  Arena arena = filled_arena();
  const Snapshot base = arena.snapshot();
  Arena child = base.clone();
  put_mark(child, 100, 2);
  Arena grandchild = child.clone();
  put_mark(grandchild, 200, 3);
  Arena cousin = arena.clone();
  put_mark(cousin, 300, 4);
  put_mark(child, 400, 5);
  const Snapshot grandchilds = grandchild.snapshot();
  expect_named(base, grandchilds, {100, 200});
  expect_named(cousin.snapshot(), grandchilds, {100, 200, 300});
  expect_named(child.snapshot(), grandchilds, {200, 400});
}

TEST_P(DifferenceBetween, versions_does_not_name_what_a_clone_wrote_and_took_back_to_the_same_frame) {
  Arena arena = filled_arena();
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  const Snapshot untouched = clone.snapshot();
  put_mark(clone, 10, 2);
  put_mark(clone, 20, 2);
  EXPECT_TRUE(changed_between(base, untouched).empty());
  expect_named(untouched, clone.snapshot(), {10, 20});
}

TEST_P(DifferenceBetween, long_runs_is_told_in_one_piece) {
  constexpr std::size_t many = 5000;  // more than is buffered
  Arena arena = make_arena(many + 8);
  const Snapshot empty = arena.snapshot();
  fill_run(arena, 4, many, 0x0101010101010101U);
  const auto found = differences(empty, arena.snapshot());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].offset, 4 * page_size());
  EXPECT_EQ(found[0].after, Bytes(many * page_size(), std::byte{1}));
  EXPECT_EQ(found[0].before, Bytes(many * page_size()));
}

TEST_P(DifferenceBetween, versions_is_told_while_the_call_changes_their_arenas) {
  Arena arena = filled_arena();
  const Snapshot first = arena.snapshot();
  put_mark(arena, 10, 2);
  put_mark(arena, 600, 2);
  const Snapshot second = arena.snapshot();
  Arena clone = first.clone();
  std::size_t calls = 0;
  for_each_difference(first, second, [&](const Difference& difference) {
    ++calls;
    EXPECT_EQ(difference.before[0], std::byte{1});
    EXPECT_EQ(difference.after[0], std::byte{2});
    fill_run(arena, 0, pages, calls + 10);
    arena.rollback(first);
    fill(clone, 600, 9);
    const Snapshot another = arena.snapshot();
  });
  EXPECT_EQ(calls, 2U);
}

TEST_P(DifferenceBetween, versions_lets_the_exception_of_a_call_out) {
  Arena arena = filled_arena();
  const Snapshot first = arena.snapshot();
  put_mark(arena, 10, 2);
  const Snapshot second = arena.snapshot();
  EXPECT_TRUE(throws_exactly<std::range_error>(
      [&] { for_each_difference(first, second, [](const Difference&) { throw std::range_error("enough"); }); }));
  expect_named(first, second, {10});
}

TEST_P(DifferenceBetween, strangers_is_refused) {
  Arena arena = filled_arena(), other = filled_arena();
  const Snapshot one = arena.snapshot(), two = other.snapshot();
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)changed_between(one, two); }));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)differences(one, two); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)changed_between(one, Snapshot()); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)changed_between(Snapshot(), one); }));
  for (const std::size_t granule : {std::size_t{0}, std::size_t{3}, 2 * page_size()}) {
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)differences(one, one, granule); })) << granule;
  }
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { for_each_difference(one, one, {}); }));
}

TEST_P(DifferenceBetween, random_bytes_is_exact_for_every_granule) {
  std::mt19937_64 random(1);
  Arena arena = make_arena(8);
  for (std::size_t i = 0; i < arena.capacity(); ++i) arena.data()[i] = static_cast<std::byte>(random() % 2);
  const Snapshot first = arena.snapshot();
  for (std::size_t i = 0; i < arena.capacity(); ++i) {
    if (i / 300 % 3 != 0) arena.data()[i] = static_cast<std::byte>(random() % 2 + i / 300 % 3 - 1);
  }
  const Snapshot second = arena.snapshot();
  for (std::size_t granule = 1; granule <= page_size(); granule *= 2) {
    EXPECT_TRUE(is_exact(first, second, granule)) << granule;
  }
}

}  // namespace
}  // namespace cow::test

// Promise: merge() puts together what two sides changed since a common base, by granules and the rules of regions; a
// merge that is refused, or throws, has changed nothing.
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "merge/differences.hpp"
#include "support/barriers.hpp"
#include "support/family.hpp"
#include "support/merged_by_hand.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"
#include "support/values.hpp"

namespace cow::test {
namespace {

class Merge : public BarrierTest {
 protected:
  static constexpr std::size_t pages = 64;


  /// An arena, the version that both sides come from, and the clone.
  struct Both {
    explicit Both(Arena made) : arena(std::move(made)) {
      fill_run(arena, 0, pages, 1);
      base = arena.snapshot();
      clone = base.clone();
    }
    MergeReport merge(const MergeOptions& options = {}) { return cow::merge(arena, base, clone.snapshot(), options); }

    Arena arena;
    Snapshot base;
    Arena clone{{.capacity = page_size()}};
  };
  Both two_sides() const { return Both(make_arena(pages)); }
  static MergeOptions with_region(std::size_t offset, std::size_t bytes, MergeRule rule) {
    MergeOptions options;
    options.regions.push_back({offset, bytes, rule});
    return options;
  }

};
COW_FOR_EVERY_BARRIER(Merge);

TEST_P(Merge, takes_pages_that_only_theirs_changed_whole_and_keeps_ours) {
  Both both = two_sides();
  fill(both.arena, 3, 2);
  fill(both.clone, 40, 3);
  const MergeReport report = both.merge();
  EXPECT_TRUE(filled(page_at(both.arena, 3), 2));
  EXPECT_TRUE(filled(page_at(both.arena, 40), 3));
  EXPECT_TRUE(filled(page_at(both.arena, 41), 1));
  EXPECT_EQ(report.pages_taken, 1U);
  EXPECT_EQ(report.pages_merged, 0U);
  EXPECT_EQ(report.bytes_changed, words_in_page());  // of each word one byte is another
  EXPECT_TRUE(report.conflicts.empty());
  both.arena.rollback(both.base);
  EXPECT_TRUE(shows(both.arena, Picture(pages, 1)));
}

TEST_P(Merge, follows_the_rule_for_each_granule_of_a_page_that_both_changed) {
  Both both = two_sides();
  const std::size_t at = 5 * page_size();
  put<std::uint64_t>(both.arena, at, 2);           // ours alone
  put<std::uint64_t>(both.clone, at + 8, 3);       // theirs alone
  put<std::uint64_t>(both.arena, at + 16, 4);      // both the same
  put<std::uint64_t>(both.clone, at + 16, 4);
  const MergeReport report = both.merge();
  EXPECT_EQ(get<std::uint64_t>(both.arena, at), 2U);
  EXPECT_EQ(get<std::uint64_t>(both.arena, at + 8), 3U);
  EXPECT_EQ(get<std::uint64_t>(both.arena, at + 16), 4U);
  EXPECT_EQ(get<std::uint64_t>(both.arena, at + 24), 1U);
  EXPECT_EQ(report.pages_merged, 1U);
  EXPECT_EQ(report.bytes_changed, 1U);
  EXPECT_TRUE(report.conflicts.empty());
}

TEST_P(Merge, with_a_conflict_that_is_refused_changes_nothing_and_lists_them_all) {
  Both both = two_sides();
  fill(both.clone, 30, 9);
  const std::size_t edge = 7 * page_size();
  for (const std::size_t at : {std::size_t{64}, edge - 8, edge, edge + 8, edge + 40}) {
    put<std::uint64_t>(both.arena, at, 2);
    put<std::uint64_t>(both.clone, at, 3);
  }
  put<std::uint64_t>(both.clone, 0, 5);
  const Snapshot before = both.arena.snapshot();
  const MergeReport report = both.merge();
  EXPECT_EQ(report.conflicts, (std::vector<ByteRange>{{64, 8}, {edge - 8, 24}, {edge + 40, 8}}));
  EXPECT_EQ(report.pages_taken + report.pages_merged + report.bytes_changed, 0U);
  EXPECT_EQ(content_of(both.arena.snapshot()), content_of(before));
}

TEST_P(Merge, resolves_conflicts_as_it_is_told) {
  for (const OnConflict answer : {OnConflict::keep_ours, OnConflict::take_theirs}) {
    Both both = two_sides();
    put<std::uint64_t>(both.arena, 64, 2);
    put<std::uint64_t>(both.clone, 64, 3);
    put<std::uint64_t>(both.clone, 128, 4);
    const MergeReport report = both.merge({.granule = 8, .on_conflict = answer, .regions = {}});
    EXPECT_EQ(get<std::uint64_t>(both.arena, 64), answer == OnConflict::keep_ours ? 2U : 3U);
    EXPECT_EQ(get<std::uint64_t>(both.arena, 128), 4U);
    EXPECT_EQ(report.conflicts, (std::vector<ByteRange>{{64, 8}}));
  }
}

TEST_P(Merge, mixes_no_bytes_within_a_granule) {
  for (std::size_t granule = 1; granule <= 64; granule *= 2) {
    Both both = two_sides();
    both.arena.data()[2 * page_size()] = std::byte{7};
    both.clone.data()[2 * page_size() + granule - 1] = std::byte{8};
    both.clone.data()[2 * page_size() + granule] = std::byte{9};
    const MergeReport report = both.merge({.granule = granule, .on_conflict = OnConflict::refuse, .regions = {}});
    EXPECT_EQ(report.conflicts, (std::vector<ByteRange>{{2 * page_size(), granule}})) << granule;
  }
}

TEST_P(Merge, sums_and_finds_extremes_in_regions_which_never_conflict) {
  Both both = two_sides();
  const std::size_t at = 9 * page_size();
  put<std::int32_t>(both.arena, at, -5), put<std::int32_t>(both.clone, at, 11);
  put<std::int64_t>(both.arena, at + 8, 100), put<std::int64_t>(both.clone, at + 8, 100);
  put<double>(both.arena, at + 16, 0.5), put<double>(both.clone, at + 16, 0.25);
  put<std::int64_t>(both.arena, at + 24, -7), put<std::int64_t>(both.clone, at + 24, -9);
  put<std::int64_t>(both.arena, at + 32, -7), put<std::int64_t>(both.clone, at + 32, -9);
  put<std::int64_t>(both.clone, at + 40, 3);
  MergeOptions options;
  options.regions = {{at, 4, MergeRule::sum_i32},
                     {at + 8, 8, MergeRule::sum_i64},
                     {at + 16, 8, MergeRule::sum_f64},
                     {at + 24, 8, MergeRule::min_i64},
                     {at + 32, 8, MergeRule::max_i64}};
  double base = 0;
  both.base.read(at + 16, std::as_writable_bytes(std::span(&base, 1)));
  const MergeReport report = both.merge(options);
  EXPECT_EQ(get<std::int32_t>(both.arena, at), -5 + 11 - 1);
  EXPECT_EQ(get<std::int64_t>(both.arena, at + 8), 199);  // equal changes are two changes
  EXPECT_EQ(get<double>(both.arena, at + 16), 0.5 + (0.25 - base));
  EXPECT_EQ(get<std::int64_t>(both.arena, at + 24), -9);
  EXPECT_EQ(get<std::int64_t>(both.arena, at + 32), -7);
  EXPECT_EQ(get<std::int64_t>(both.arena, at + 40), 3);
  EXPECT_TRUE(report.conflicts.empty());
}

TEST_P(Merge, keeps_or_takes_regions_whole_whoever_changed_them) {
  Both both = two_sides();
  fill(both.arena, 10, 2), fill(both.clone, 11, 3);  // keep_ours
  fill(both.arena, 20, 2), fill(both.clone, 21, 3);  // take_theirs
  MergeOptions options;
  options.regions = {{10 * page_size(), 2 * page_size(), MergeRule::keep_ours},
                     {20 * page_size() + 8, 2 * page_size() - 8, MergeRule::take_theirs}};
  both.merge(options);
  EXPECT_TRUE(filled(page_at(both.arena, 10), 2));
  EXPECT_TRUE(filled(page_at(both.arena, 11), 1));
  EXPECT_EQ(mark_of(both.arena, 20), 2U);  // before the region
  EXPECT_EQ(get<std::uint64_t>(both.arena, 20 * page_size() + 8), 1U);
  EXPECT_TRUE(filled(page_at(both.arena, 21), 3));
}

TEST_P(Merge, lets_later_regions_win) {
  Both both = two_sides();
  for (const std::size_t at : {0U, 8U, 16U}) put<std::int64_t>(both.arena, at, 10), put<std::int64_t>(both.clone, at, 20);
  MergeOptions options;
  options.regions = {{0, 24, MergeRule::sum_i64}, {8, 8, MergeRule::keep_ours}, {16, 8, MergeRule::by_granule}};
  const MergeReport report = both.merge(options);
  EXPECT_EQ(report.conflicts, (std::vector<ByteRange>{{16, 8}}));
  options.on_conflict = OnConflict::take_theirs;
  both.merge(options);
  EXPECT_EQ(get<std::int64_t>(both.arena, 0), 29);
  EXPECT_EQ(get<std::int64_t>(both.arena, 8), 10);
  EXPECT_EQ(get<std::int64_t>(both.arena, 16), 20);
}

TEST_P(Merge, refuses_options_that_cannot_be_and_changes_nothing) {
  Both both = two_sides();
  fill(both.clone, 4, 5);
  const auto refused = [&](const MergeOptions& options) {
    const auto result = throws_exactly<std::invalid_argument>([&] { both.merge(options); });
    return result && shows(both.arena, Picture(pages, 1)) ? result : testing::AssertionFailure() << result.message();
  };
  for (const std::size_t granule : {0U, 3U, 24U, 128U}) {
    EXPECT_TRUE(refused({.granule = granule, .on_conflict = OnConflict::refuse, .regions = {}})) << granule;
  }
  EXPECT_TRUE(refused(with_region(0, 6, MergeRule::sum_i32)));
  EXPECT_TRUE(refused(with_region(0, 12, MergeRule::sum_f64)));
  EXPECT_TRUE(refused(with_region(4, 8, MergeRule::max_i64)));
  EXPECT_TRUE(refused(with_region(pages * page_size(), 8, MergeRule::sum_i64)));
  EXPECT_TRUE(refused(with_region(8, ~std::size_t{7}, MergeRule::sum_i64)));
  EXPECT_TRUE(refused(with_region(0, 8, static_cast<MergeRule>(99))));
  MergeOptions cut = with_region(0, 16, MergeRule::sum_i64);
  cut.regions.push_back({4, 8, MergeRule::sum_i32});
  EXPECT_TRUE(refused(cut));
}

TEST_P(Merge, refuses_a_base_that_is_no_common_ancestor) {
  Both both = two_sides();
  Arena other = make_arena(pages);
  const Snapshot foreign = other.snapshot(), theirs = both.clone.snapshot();
  fill(both.arena, 1, 2);
  const Snapshot later = both.arena.snapshot();
  fill(both.clone, 2, 3);
  const Snapshot clones = both.clone.snapshot();
  Arena cousin = both.base.clone();
  const auto refused = [](auto&& call) { return throws_exactly<std::invalid_argument>(call); };
  EXPECT_TRUE(refused([&] { merge(both.arena, foreign, theirs); }));
  EXPECT_TRUE(refused([&] { merge(both.arena, both.base, foreign); }));
  EXPECT_TRUE(refused([&] { merge(both.arena, later, theirs); }));   // younger than the clone
  EXPECT_TRUE(refused([&] { merge(both.arena, clones, clones); }));  // the arena does not come from the clone
  EXPECT_TRUE(refused([&] { merge(cousin, later, clones); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { merge(both.arena, Snapshot(), theirs); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { merge(both.arena, both.base, Snapshot()); }));
  EXPECT_EQ(mark_of(both.arena, 2), 1U);
}

TEST_P(Merge, works_between_all_relatives) {
  Both both = two_sides();
  fill(both.clone, 1, 2);
  Arena grandchild = both.clone.clone();
  fill(grandchild, 2, 3);
  Arena cousin = both.base.clone();
  fill(cousin, 3, 4);
  fill(both.arena, 4, 5);
  const Snapshot grandchilds = grandchild.snapshot(), arenas = both.arena.snapshot();
  merge(cousin, both.base, grandchilds);  // both are clones, one of them of a clone
  EXPECT_EQ(mark_of(cousin, 1), 2U);
  EXPECT_EQ(mark_of(cousin, 2), 3U);
  EXPECT_EQ(mark_of(cousin, 3), 4U);
  merge(grandchild, both.base, arenas);  // the original's later state into a clone
  EXPECT_EQ(mark_of(grandchild, 4), 5U);
  { const Arena gone = std::move(both.clone); }
  merge(both.arena, both.base, cousin.snapshot());
  for (const std::size_t page : {1U, 2U, 3U, 4U}) EXPECT_EQ(mark_of(both.arena, page), page + 1);
  EXPECT_TRUE(shows(both.base, Picture(pages, 1)));
}

TEST_P(Merge, of_an_older_version_of_its_own_brings_nothing_back) {
  Both both = two_sides();
  fill(both.arena, 1, 2);
  const Snapshot between = both.arena.snapshot();
  fill(both.arena, 2, 3);
  const MergeReport report = merge(both.arena, both.base, between);
  EXPECT_EQ(report.bytes_changed, 0U);
  EXPECT_EQ(mark_of(both.arena, 1), 2U);
  EXPECT_EQ(mark_of(both.arena, 2), 3U);
}

TEST_P(Merge, is_what_is_worked_out_by_hand_for_random_changes) {
  std::mt19937_64 random(7);
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  for (int round = 0; round < 150; ++round) {
    Arena arena = make_arena(6);
    for (std::size_t i = 0; i < arena.capacity(); ++i) arena.data()[i] = static_cast<std::byte>(below(3));
    const Snapshot base = arena.snapshot();
    Arena clone = base.clone();
    for (const Arena* const side : {&arena, &clone}) {
      for (std::size_t change = below(60); change > 0; --change) {
        const std::size_t at = below(side->capacity() - 80), bytes = 1 + below(change % 3 == 0 ? 80 : 9);
        for (std::size_t i = at; i < at + bytes; ++i) side->data()[i] = static_cast<std::byte>(below(3));
      }
    }
    MergeOptions options;
    options.granule = std::size_t{1} << below(7);
    options.on_conflict = static_cast<OnConflict>(below(3));
    for (std::size_t region = below(4); region > 0; --region) {
      const std::size_t offset = 8 * below(arena.capacity() / 8);
      const std::size_t bytes = std::min(8 * below(1500), arena.capacity() - offset);
      options.regions.push_back({offset, bytes, static_cast<MergeRule>(below(8))});
    }
    const Bytes ours = content_of(arena.snapshot()), was = content_of(base);
    const Snapshot theirs = clone.snapshot();
    const MergedByHand expected = merged_by_hand(ours, was, content_of(theirs), options);
    const MergeReport report = merge(arena, base, theirs, options);
    const Bytes found = content_of(arena.snapshot());
    ASSERT_EQ(found, expected.content) << "round " << round << " granule " << options.granule;
    ASSERT_EQ(report.conflicts, expected.conflicts) << "round " << round;
    std::uint64_t different = 0;
    for (std::size_t i = 0; i < found.size(); ++i) different += found[i] != ours[i] ? 1 : 0;
    ASSERT_EQ(report.bytes_changed, different) << "round " << round;
    ASSERT_EQ(content_of(base), was);
  }
}

TEST_P(Merge, that_the_kernel_refuses_has_changed_nothing) {
  for (std::int64_t nth = 1;; ++nth) {
    Family family(make_arena(Family::pages));
    const Snapshot theirs = family.clone->arena().snapshot();
    const Picture before = family.painted.picture();
    const std::int64_t calls = os::calls_made();
    bool refused = false;
    os::fail_after(nth);
    try {
      (void)merge(family.painted.arena(), family.second, theirs,
                  {.granule = 8, .on_conflict = OnConflict::keep_ours, .regions = {}});
    } catch (const std::system_error& error) {
      refused = true;
      EXPECT_TRUE(names_a_size(error.what())) << error.what();
    }
    os::fail_after(0);
    if (!refused) {
      Picture merged = before;  // the clone painted 6 to 15, the arena 8 and 9
      for (std::size_t page = 6; page < 16; ++page)
        if (page != 8 && page != 9) merged[page] = 3;
      family.painted.set_picture(merged);
    }
    family.expect_intact();
    family.expect_to_go_on();
    if (HasFailure() || os::calls_made() - calls < nth) break;
  }
}

TEST_P(Merge, of_what_both_sides_did_to_a_heaps_books_is_refused_unless_a_region_covers_them) {
  Arena arena = make_arena(4096);
  Heap heap(arena);
  auto* const numbers = static_cast<std::uint64_t*>(heap.allocate(1000 * sizeof(std::uint64_t)));
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  const std::ptrdiff_t offset = reinterpret_cast<std::byte*>(numbers) - arena.data();
  auto* const theirs = reinterpret_cast<std::uint64_t*>(clone.data() + offset);
  numbers[1] = 1;
  theirs[2] = 2;
  (void)merge(arena, base, clone.snapshot());  // neither allocates
  EXPECT_EQ(numbers[2], 2U);

  Heap their_heap(clone);
  void* const their_block = their_heap.allocate(100);
  (void)merge(arena, base, clone.snapshot());  // one does
  EXPECT_TRUE(heap.check().ok());
  EXPECT_EQ(heap.stats().live_blocks, 2U);
  heap.deallocate(arena.data() + (static_cast<std::byte*>(their_block) - clone.data()));

  (void)heap.allocate(50);
  numbers[3] = 3;
  theirs[4] = 4;
  const Snapshot now = clone.snapshot();
  const auto refused = throws_exactly<std::logic_error>([&] {
    (void)merge(arena, base, now, {.granule = 1, .on_conflict = OnConflict::take_theirs, .regions = {}});
  });
  EXPECT_TRUE(refused);
  EXPECT_NE(std::string(refused.message()).find("heap"), std::string::npos) << refused.message();
  EXPECT_EQ(numbers[4], 0U);
  (void)merge(arena, base, now, with_region(0, static_cast<std::size_t>(offset), MergeRule::keep_ours));
  EXPECT_EQ(numbers[3], 3U);
  EXPECT_EQ(numbers[4], 4U);
  EXPECT_TRUE(heap.check().ok());
}

}  // namespace
}  // namespace cow::test

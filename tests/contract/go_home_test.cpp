// Promises: pages that had to leave their places, since a clone or a view showed them, are back after a snapshot when
// nobody shows them any more, so that a clone of each version stays as cheap as the first; nothing changes in any
// content by that, nor for pages that were made ready for somebody, nor where the kernel refuses.
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 256;

class GoingHome : public BarrierTest {
 protected:
  Arena filled_arena() const {
    Arena arena = make_arena(pages);
    fill_run(arena, 0, pages, 1);
    (void)arena.snapshot();
    return arena;
  }
  Arena quiet_arena(std::size_t count) const {
    return test::quiet_arena(GetParam(), count);
  }
  /// Every eighth page is written while somebody shows all of them.
  static void write_scattered(const Arena& arena, std::uint64_t value) {
    for (std::size_t page = 3; page < pages; page += 8) fill(arena, page, value);
  }
  /// Half of the pages have left, and nobody shows what they left any more.
  static constexpr std::size_t many = 4096;
  Arena arena_with_half_away() const {
    Arena arena = make_arena(many);
    fill_run(arena, 0, many, 1);
    const Arena clone = arena.clone();
    for (std::size_t page = 0; page < many; page += 2) put_mark(arena, page, 2);
    (void)arena.snapshot();
    return arena;
  }
  static std::uint64_t pages_away(const Arena& arena) COW_HELD_UNCHECKED { return Access::books(arena)->away.count(); }
  static Picture scattered(std::uint64_t value) {
    Picture picture(pages, 1);
    for (std::size_t page = 3; page < pages; page += 8) picture[page] = value;
    return picture;
  }
};
COW_FOR_EVERY_BARRIER(GoingHome);

TEST_P(GoingHome, happens_at_the_cut_after_clones_have_gone) {
  Arena arena = filled_arena();
  const std::uint64_t before = arena.stats().mappings;
  for (std::uint64_t round = 2; round < 40; ++round) {
    {
      const Arena clone = arena.clone();
      write_scattered(arena, round);
      EXPECT_TRUE(shows(clone, round == 2 ? Picture(pages, 1) : scattered(round - 1)));
    }
    const Snapshot last = arena.snapshot();
    EXPECT_LE(arena.stats().mappings, before + 2) << "round " << round;
    EXPECT_TRUE(shows(last, scattered(round)));
    EXPECT_TRUE(shows(arena, scattered(round)));
  }
}

TEST_P(GoingHome, waits_for_a_view_and_for_a_snapshot_that_need_what_was_there) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = filled_arena();
  Snapshot old = arena.snapshot();
  std::optional<View> view = old.view();
  const std::uint64_t before = arena.stats().mappings;
  write_scattered(arena, 2);
  Snapshot last = arena.snapshot();
  EXPECT_GT(arena.stats().mappings, before + pages / 8);
  EXPECT_TRUE(shows(*view, Picture(pages, 1)));
  view.reset();
  fill(arena, 0, 7);
  last = arena.snapshot();
  EXPECT_GT(arena.stats().mappings, before + pages / 8);
  EXPECT_TRUE(shows(old, Picture(pages, 1)));
  old = {};
  fill(arena, 0, 1);
  last = arena.snapshot();
  EXPECT_LE(arena.stats().mappings, before + 2);
  EXPECT_TRUE(shows(last, scattered(2)));
  write_scattered(arena, 3);
  EXPECT_TRUE(shows(last, scattered(2)));
  EXPECT_TRUE(shows(arena, scattered(3)));
}

TEST_P(GoingHome, moves_no_page_that_a_newer_clone_shows) {
  Arena arena = filled_arena();
  std::optional<Arena> older = arena.clone();
  write_scattered(arena, 2);
  const Arena newer = arena.clone();
  older.reset();
  fill(arena, 0, 9);
  const Snapshot last = arena.snapshot();
  EXPECT_TRUE(shows(newer, scattered(2)));
  write_scattered(arena, 3);
  fill(newer, 3, 8);
  EXPECT_EQ(mark_of(last, 3), 2U);
  EXPECT_EQ(mark_of(arena, 3), 3U);
  EXPECT_TRUE(filled(page_at(newer, 11), 2));
}

/// The kernel, or a device, may be writing into a page that was made ready for that.
TEST_P(GoingHome, leaves_pages_where_they_are_that_were_made_ready) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = filled_arena();
  {
    const Arena clone = arena.clone();
    write_scattered(arena, 2);
  }
  const std::uint64_t away = arena.stats().mappings;
  arena.prepare_write(page_at(arena, 11), page_size());
  (void)arena.snapshot();
  const std::uint64_t with_one = arena.stats().mappings;
  EXPECT_LT(with_one, away);
  fill(arena, 0, 1);
  (void)arena.snapshot();
  EXPECT_LT(arena.stats().mappings, with_one);
  EXPECT_TRUE(shows(arena, scattered(2)));
}

TEST_P(GoingHome, brings_no_more_home_at_once_than_was_written) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (MappingBudget::limit() < 8 * many) GTEST_SKIP() << "vm.max_map_count is low: snapshots defragment";
  Arena arena = arena_with_half_away();
  const std::uint64_t away = arena.stats().mappings;
  put_mark(arena, 1, 3);
  (void)arena.snapshot();
  const std::uint64_t after = arena.stats().mappings;
  EXPECT_LT(after, away);
  EXPECT_GT(after, away / 2);
  for (int cut = 0; cut < 20; ++cut) {
    put_mark(arena, 1, static_cast<std::uint64_t>(cut));
    (void)arena.snapshot();
  }
  EXPECT_LT(arena.stats().mappings, away / 16);
}

TEST_P(GoingHome, brings_home_in_one_cut_twice_what_was_written) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (MappingBudget::limit() < 8 * many) GTEST_SKIP() << "vm.max_map_count is low: snapshots defragment";
  Arena arena = arena_with_half_away();
  const std::uint64_t away = arena.stats().mappings;
  for (std::size_t page = 1; page < many / 2; page += 2) put_mark(arena, page, 3);
  (void)arena.snapshot();
  EXPECT_LT(arena.stats().mappings, away / 4);
}

/// Whoever opens a view of each version, some of them at a time, shows all frames all the time.
TEST_P(GoingHome, goes_on_while_each_version_is_shown_for_some_cuts_where_stores_are_let_through) {
  if (GetParam() != Barrier::kernel) GTEST_SKIP() << "going home takes a mapping";
  Arena arena = quiet_arena(pages);
  fill_run(arena, 0, pages, 1);
  Picture now(pages, 1);
  std::deque<std::pair<View, Picture>> shown;
  std::vector<std::pair<Snapshot, Picture>> kept;
  for (std::size_t round = 0; round < 120; ++round) {
    for (std::size_t i = 0; i < 8; ++i) {
      const std::size_t page = (round * 37 + i * 31) % pages;
      fill(arena, page, now[page] = 2 + round);
    }
    const Snapshot version = arena.snapshot();
    shown.emplace_back(version.view(), now);
    if (round >= 60 && round % 20 == 7) kept.emplace_back(version, now);
    if (shown.size() > 3) shown.pop_front();
    for (const auto& [view, picture] : shown) ASSERT_TRUE(shows(view, picture)) << "round " << round;
    ASSERT_TRUE(shows(arena, now)) << "round " << round;
    if (kept.empty()) {
      ASSERT_LT(pages_away(arena), 8 * 6U) << "those of the last cuts, not all that ever left: round " << round;
    }
  }
  for (const auto& [version, picture] : kept) EXPECT_TRUE(shows(version, picture));
  arena.rollback(kept[1].first);
  EXPECT_TRUE(shows(arena, kept[1].second));
}

/// Of neighbours that may go home together one is shown where it is, the other is not.
TEST_P(GoingHome, tells_pages_that_are_shown_from_their_neighbours) {
  Arena arena = filled_arena();
  std::optional<Snapshot> first = arena.snapshot();
  std::optional<View> view = first->view();
  fill_run(arena, 3, 2, 2);
  const Snapshot second = arena.snapshot();
  const View shown = second.view();
  fill(arena, 3, 3);  // that page leaves once more, and nobody shows where it is then
  (void)arena.snapshot();
  view.reset();
  first.reset();
  fill(arena, 0, 3);
  (void)arena.snapshot();
  for (std::uint64_t round = 4; round < 8; ++round) {
    fill_run(arena, 0, pages, round);
    (void)arena.snapshot();
    ASSERT_TRUE(filled(page_at(shown, 3), 2)) << round;
    ASSERT_TRUE(filled(page_at(shown, 4), 2)) << round;
  }
}

TEST_P(GoingHome, logs_all_that_go_home_though_they_are_shown) {
  if (GetParam() != Barrier::kernel) GTEST_SKIP() << "going home takes a mapping";
  Arena arena = quiet_arena(many);
  fill_run(arena, 0, many, 1);
  std::optional<View> old = arena.snapshot().view();
  for (std::size_t page = 0; page < many; page += 2) put_mark(arena, page, 2);
  const Snapshot kept = arena.snapshot();
  const View shown = kept.view();
  old.reset();
  for (std::size_t cut = 0; cut < 3; ++cut) {
    put_mark(arena, 1, 3 + cut);
    (void)arena.snapshot();
    ASSERT_LT(pages_away(arena), many / 2 - 200 * cut);
  }
  for (std::size_t page = 0; page < many; ++page) put_mark(arena, page, 9);
  (void)arena.snapshot();
  for (std::size_t page = 0; page < many; ++page) {
    ASSERT_EQ(mark_of(shown, page), page % 2 == 0 ? 2U : 1U) << page;
    ASSERT_EQ(mark_of(kept, page), page % 2 == 0 ? 2U : 1U) << page;
  }
}

TEST_P(GoingHome, gives_no_memory_to_pages_that_were_discarded) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = filled_arena();
  {
    const Arena clone = arena.clone();
    write_scattered(arena, 2);
  }
  for (std::size_t page = 3; page < pages; page += 8) arena.discard(page_at(arena, page), page_size());
  fill(arena, 0, 3);
  const std::uint64_t before = arena.stats().file_bytes;
  (void)arena.snapshot();
  fill(arena, 0, 4);
  (void)arena.snapshot();
  EXPECT_LE(arena.stats().file_bytes, before + 2 * page_size());
  EXPECT_EQ(mark_of(arena, 3), 0U);
}

TEST_P(GoingHome, changes_no_content_whichever_kernel_call_fails) {
  for (std::int64_t nth = 1; nth < 2000; ++nth) {
    Arena arena = filled_arena();
    {
      const Arena clone = arena.clone();
      write_scattered(arena, 2);
    }
    const std::int64_t before = os::calls_made();
    os::fail_after(nth);
    Snapshot last;
    try {
      last = arena.snapshot();
    } catch (const std::exception&) {
    }
    os::fail_after(0);
    const bool enough = os::calls_made() - before < nth;
    EXPECT_TRUE(shows(arena, scattered(2))) << nth;
    if (last) {
      EXPECT_TRUE(shows(last, scattered(2))) << nth;
    }
    write_scattered(arena, 3);
    Snapshot later = arena.snapshot();
    write_scattered(arena, 4);
    if (last) {
      EXPECT_TRUE(shows(last, scattered(2))) << nth;
    }
    EXPECT_TRUE(shows(later, scattered(3))) << nth;
    EXPECT_TRUE(shows(arena, scattered(4))) << nth;
    last = later = {};
    for (std::uint64_t cut = 5; cut < 8; ++cut) {
      fill(arena, 0, cut);
      (void)arena.snapshot();
    }
    EXPECT_EQ(pages_away(arena), 0U) << "a frame at home counts as used: " << nth;
    if (HasFailure() || enough) return;
  }
  ADD_FAILURE() << "the cut never ends";
}

}  // namespace
}  // namespace cow::test

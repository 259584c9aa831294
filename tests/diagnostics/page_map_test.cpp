// Promise: the page map tells of each page who shows it, adds up to the statistics, and reads well.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cow/page_map.hpp"
#include "diagnostics/xml.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

const PageGroup& group_of(const PageMap& map, std::size_t page) {
  for (const PageMap::Run& run : map.runs) {
    if (page >= run.pages.first && page < run.pages.first + run.pages.count) return map.groups[run.group];
  }
  throw std::out_of_range("no run has the page");
}

/// What holds of every map.
void expect_whole(const Arena& arena, const PageMap& map) {
  const ArenaStats stats = arena.stats();
  EXPECT_EQ(map.pages, page_count(arena));
  EXPECT_EQ(map.snapshots, stats.snapshots_alive);
  EXPECT_EQ(map.pages_in(PageState::private_page) + map.pages_in(PageState::shared), stats.pages_private);
  EXPECT_EQ(map.pages_in(PageState::borrowed), stats.pages_borrowed);
  std::size_t at = 0;
  std::vector<std::uint64_t> counted(map.groups.size());
  for (const PageMap::Run& run : map.runs) {
    EXPECT_EQ(run.pages.first, at);
    at += run.pages.count;
    counted[run.group] += run.pages.count;
  }
  EXPECT_EQ(at, map.pages);
  for (std::size_t i = 0; i < counted.size(); ++i) EXPECT_EQ(counted[i], map.groups[i].pages);
}

class PageMaps : public BarrierTest {};
COW_FOR_EVERY_BARRIER(PageMaps);

TEST_P(PageMaps, an_empty_arena_is_never_written) {
  const Arena arena = make_arena(32);
  const PageMap map = map_pages(arena);
  expect_whole(arena, map);
  EXPECT_EQ(map.pages_in(PageState::unwritten), 32U);
}

TEST_P(PageMaps, written_pages_are_private_until_a_snapshot_shares_them) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  arena.prepare_write(page_at(arena, 8), 16 * page_size());
  EXPECT_EQ(group_of(map_pages(arena), 8).state, PageState::private_page);
  const Snapshot first = arena.snapshot();
  arena.prepare_write(page_at(arena, 12), 4 * page_size());
  const Snapshot second = arena.snapshot();
  arena.prepare_write(page_at(arena, 14), page_size());
  const PageMap map = map_pages(arena);
  expect_whole(arena, map);
  EXPECT_EQ(group_of(map, 7).state, PageState::unwritten);
  EXPECT_EQ(group_of(map, 8).state, PageState::shared);
  EXPECT_EQ(group_of(map, 8).oldest_snapshot, 1U);
  EXPECT_EQ(group_of(map, 12).oldest_snapshot, 2U) << "the first shows what was there before";
  EXPECT_EQ(group_of(map, 14).state, PageState::private_page);
  EXPECT_EQ(group_of(map, 14).oldest_snapshot, 0U);
}

TEST_P(PageMaps, dropping_the_snapshots_makes_pages_private_again) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  Snapshot first = arena.snapshot();
  fill_run(arena, 0, 8, 2);
  Snapshot second = arena.snapshot();
  first = {};
  EXPECT_EQ(group_of(map_pages(arena), 20).oldest_snapshot, 1U) << "numbered anew";
  second = {};
  const PageMap map = map_pages(arena);
  expect_whole(arena, map);
  EXPECT_EQ(map.pages_in(PageState::private_page), 64U);
}

TEST_P(PageMaps, a_clone_is_named_for_the_pages_that_it_shows) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  Arena clone = arena.clone();
  fill_run(arena, 0, 8, 2);
  fill_run(clone, 24, 4, 3);
  const PageMap map = map_pages(arena);
  expect_whole(arena, map);
  EXPECT_TRUE(group_of(map, 0).clones.empty());
  EXPECT_EQ(group_of(map, 0).state, PageState::private_page);
  EXPECT_EQ(group_of(map, 16).state, PageState::shared);
  EXPECT_EQ(group_of(map, 16).clones, std::vector<const std::byte*>{clone.data()});
  EXPECT_EQ(group_of(map, 24).state, PageState::private_page) << "the clone has moved away";
  const PageMap of_clone = map_pages(clone);
  expect_whole(clone, of_clone);
  EXPECT_EQ(group_of(of_clone, 0).state, PageState::borrowed);
  EXPECT_EQ(group_of(of_clone, 24).state, PageState::private_page);
  EXPECT_EQ(group_of(of_clone, 40).state, PageState::unwritten);
}

TEST_P(PageMaps, clones_that_are_gone_are_told_of_while_their_snapshots_live) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  Snapshot left;
  {
    Arena clone = arena.clone();
    put_mark(clone, 3, 2);
    left = clone.snapshot();
  }
  EXPECT_TRUE(group_of(map_pages(arena), 16).gone_clones);
  left = {};
  const PageMap map = map_pages(arena);
  EXPECT_FALSE(group_of(map, 16).gone_clones);
  EXPECT_EQ(group_of(map, 16).state, PageState::private_page);
}

TEST_P(PageMaps, discarded_pages_are_as_never_written) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  arena.discard(page_at(arena, 8), 8 * page_size());
  const PageMap map = map_pages(arena);
  expect_whole(arena, map);
  EXPECT_EQ(group_of(map, 10).state, PageState::unwritten);
}

TEST_P(PageMaps, they_add_up_whatever_happened) {
  const std::uint64_t seed = seed_or(20260101);
  SCOPED_TRACE(testing::Message() << "COW_SEED=" << seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
  std::vector<Arena> arenas;
  std::vector<Snapshot> snapshots;
  arenas.push_back(make_arena(128));
  for (int i = 0; i < 600; ++i) {
    Arena& arena = arenas[pick(arenas.size())];
    switch (pick(7)) {
      case 0:
        snapshots.push_back(arena.snapshot());
        break;
      case 1:
        if (arenas.size() < 5) arenas.push_back(arena.clone());
        break;
      case 2:
        if (!snapshots.empty())
          snapshots.erase(snapshots.begin() + static_cast<std::ptrdiff_t>(pick(snapshots.size())));
        break;
      case 3:
        if (arenas.size() > 1) arenas.erase(arenas.begin() + static_cast<std::ptrdiff_t>(pick(arenas.size())));
        break;
      case 4:
        arena.discard(page_at(arena, pick(120)), 4 * page_size());
        break;
      default:
        put_mark(arena, pick(128), random());
        break;
    }
    const Arena& mapped = arenas[pick(arenas.size())];
    expect_whole(mapped, map_pages(mapped));
    if (HasFailure()) FAIL() << "after step " << i;
  }
}

PageMap example() {
  PageMap map;
  map.arena = "a <map> & \"more\"";
  map.page_bytes = 4096;
  map.pages = 64;
  map.snapshots = 3;
  map.groups = {{PageState::unwritten, 0, {}, false, 32},
                {PageState::private_page, 0, {}, false, 8},
                {PageState::shared, 2, {}, false, 8},
                {PageState::shared, 3, {nullptr}, true, 8},
                {PageState::borrowed, 0, {}, false, 8}};
  map.runs = {{{0, 8}, 1}, {{8, 8}, 2}, {{16, 8}, 3}, {{24, 8}, 4}, {{32, 32}, 0}};
  return map;
}

TEST(PageMapText, is_a_character_a_block_and_a_legend) {
  const std::string text = to_text(example(), {.columns = 16});
  EXPECT_NE(text.find("\n########22222222\naaaaaaaa========\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  #  8 pages, 32.0 KiB private\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  2  8 pages, 32.0 KiB shared with snapshots 2 to 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("shared with snapshot 3, the clone at"), std::string::npos) << text;
  EXPECT_NE(text.find("snapshots of clones that are gone\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  .  32 pages, 128 KiB never written\n"), std::string::npos) << text;
}

TEST(PageMapText, fits_into_the_rows_that_it_is_given) {
  const std::string text = to_text(example(), {.columns = 4, .rows = 2});
  EXPECT_NE(text.find("a character is 4 pages\n##22\naa==\n"), std::string::npos) << text;
}

TEST(PageMapText, a_single_written_page_is_never_lost_among_others) {
  PageMap map = example();
  map.groups[0].pages = 63, map.groups[1].pages = 1;
  map.groups.resize(2);
  map.runs = {{{0, 50}, 0}, {{50, 1}, 1}, {{51, 13}, 0}};
  EXPECT_NE(to_text(map, {.columns = 4, .rows = 1}).find("\n...#\n"), std::string::npos)
      << to_text(map, {.columns = 4, .rows = 1});
}

TEST(PageMapText, has_colours_only_when_asked) {
  EXPECT_EQ(to_text(example()).find('\x1b'), std::string::npos);
  EXPECT_NE(to_text(example(), {.colours = true}).find("\x1b["), std::string::npos);
}

TEST(PageMapPicture, is_well_formed) {
  EXPECT_TRUE(is_xml(to_svg(example())));
  EXPECT_TRUE(is_xml(to_svg(map_pages(Arena({.capacity = page_size()})))));
  EXPECT_NE(to_svg(example(), {.columns = 16}).find("<title>pages 8 to 15: shared with snapshots 2 to 3</title>"),
            std::string::npos);
}

}  // namespace
}  // namespace cow::test

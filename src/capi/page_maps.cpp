// Page maps in C: one block for the caller, in which the map leads to its lists.
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "capi/blocks.hpp"
#include "capi/objects.hpp"
#include "capi/values.hpp"
#include "cow/cow.h"
#include "cow/page_map.hpp"

using namespace cow::capi;

namespace {

static_assert(COW_PAGE_UNWRITTEN == static_cast<int>(cow::PageState::unwritten));
static_assert(COW_PAGE_PRIVATE == static_cast<int>(cow::PageState::private_page));
static_assert(COW_PAGE_SHARED == static_cast<int>(cow::PageState::shared));
static_assert(COW_PAGE_BORROWED == static_cast<int>(cow::PageState::borrowed));

constexpr cow_page_map_style usual_style{
    .size = sizeof(cow_page_map_style), .columns = 64, .rows = 16, .colours = 0, .svg = 0};

cow_page_map* map_for_caller(const cow::PageMap& map) {
  std::vector<cow_page_group> groups;
  std::vector<const void*> clones;
  for (const cow::PageGroup& group : map.groups) {
    groups.push_back({.state = static_cast<int>(group.state),
                      .gone_clones = group.gone_clones ? 1 : 0,
                      .oldest_snapshot = group.oldest_snapshot,
                      .pages = group.pages,
                      .clones = nullptr,
                      .clone_count = group.clones.size()});
    clones.insert(clones.end(), group.clones.begin(), group.clones.end());
  }
  std::vector<cow_page_run> runs;
  for (const cow::PageMap::Run& run : map.runs) runs.push_back({{run.pages.first, run.pages.count}, run.group});

  cow_page_map told{};
  told.size = sizeof told;
  told.page_bytes = map.page_bytes;
  told.pages = map.pages;
  told.snapshots = map.snapshots;
  told.group_count = groups.size();
  told.run_count = runs.size();
  Block block(room_for<cow_page_map>(1) + room_for<cow_page_group>(groups.size()) +
              room_for<cow_page_run>(runs.size()) + room_for<const void*>(clones.size()));
  cow_page_map* const result = block.put(std::span(&told, 1));
  const void* const* of_group = block.put(std::span(clones));
  for (cow_page_group& group : groups) {
    if (group.clone_count != 0) group.clones = of_group;
    of_group += group.clone_count;
  }
  result->groups = block.put(std::span(groups));
  result->runs = block.put(std::span(runs));
  block.release();
  return result;
}

}  // namespace

int cow_arena_page_map(const cow_arena* arena, cow_page_map** map) noexcept {
  if (map == nullptr) return fail(__func__, EINVAL, "the place for the map is NULL");
  *map = nullptr;
  return guarded(__func__, [&] { *map = map_for_caller(cow::map_pages(use(arena))); });
}

int cow_arena_draw_pages(const cow_arena* arena, const cow_page_map_style* or_null, char** text) noexcept {
  return telling(__func__, text, [&] {
    const cow::Arena& of = use(arena);
    const cow_page_map_style given = read_options(or_null, usual_style);
    require(given.columns != 0 && given.rows != 0, "a map without columns or rows shows nothing");
    const cow::PageMapStyle style{.columns = given.columns, .rows = given.rows, .colours = given.colours != 0};
    return given.svg != 0 ? to_svg(cow::map_pages(of), style) : to_text(cow::map_pages(of), style);
  });
}

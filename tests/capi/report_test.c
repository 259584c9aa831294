/* Promise: what an arena does and costs comes as text, as single numbers, and as data in one block. */
#include <stdlib.h>

#include "capi/check.h"

TEST(reports_are_told_as_text) {
  cow_arena* arena = arena_of(16);
  cow_snapshot* snapshot;
  char* text;
  int report, form, weight;
  uint64_t pages = 9, unchanged = 9;
  cow_memory_account account;
  bytes_of(arena)[0] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_fault_profile_start(0, 0) == 0);
  CHECK(cow_fault_profile_on() == 1);
  bytes_of(arena)[0] = 2;
  cow_fault_profile_stop();
  CHECK(cow_fault_profile_on() == 0);
  for (form = COW_PROFILE_TABLE; form <= COW_PROFILE_SVG; ++form) {
    CHECK(cow_fault_profile_report(form, &text) == 0 && strlen(text) > 10);
    cow_free(text);
    for (weight = COW_WEIGHT_FAULTS; weight <= COW_WEIGHT_NANOSECONDS; ++weight) {
      CHECK(cow_fault_profile_report_by(form, weight, 1, &text) == 0 && strlen(text) > 10);
      cow_free(text);
    }
  }
  for (report = COW_REPORT_STATS; report <= COW_REPORT_MEMORY; ++report) {
    CHECK(cow_arena_report(arena, report, &text) == 0 && strlen(text) > 10);
    cow_free(text);
  }
  CHECK(cow_arena_stats_json(arena, &text) == 0 && text[0] == '{');
  cow_free(text);
  CHECK(cow_arena_copies_since_snapshot(arena, &pages, &unchanged) == 0 && pages == 1 && unchanged == 0);
  account.size = sizeof account;
  CHECK(cow_arena_memory(arena, &account) == 0 && account.live_bytes >= cow_page_size());
  CHECK(account.size == sizeof account && account.kernel_bytes >= account.live_bytes && account.front_bytes == 0);
  CHECK_FAILS(cow_arena_report(arena, 99, &text), EINVAL, "no such report");
  CHECK(text == NULL);
  CHECK_FAILS(cow_arena_report(arena, COW_REPORT_DUMP, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_fault_profile_report(-1, &text), EINVAL, "no such form");
  CHECK_FAILS(cow_fault_profile_report_by(COW_PROFILE_SVG, 3, 0, &text), EINVAL, "no such weight");
  CHECK_FAILS(cow_fault_profile_report_by(COW_PROFILE_SVG, 0, 0, NULL), EINVAL, "NULL");
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(a_statistic_is_told_by_its_name) {
  cow_arena* arena = arena_of(16);
  cow_snapshot* snapshot;
  uint64_t before = 9, after = 9, unchanged = 77;
  bytes_of(arena)[0] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_stat(arena, "pages_to_history", &before) == 0);
  bytes_of(arena)[0] = 2;
  CHECK(cow_arena_stat(arena, "pages_to_history", &after) == 0 && after == before + 1);
  CHECK(cow_arena_stat(arena, "snapshots_alive", &after) == 0 && after == 1);
  CHECK(cow_arena_stat(arena, "p99_ns", &after) == 0 && after > 0);
  CHECK_FAILS(cow_arena_stat(arena, "pages", &unchanged), EINVAL, "no number of this name");
  CHECK_FAILS(cow_arena_stat(arena, "barrier_reason", &unchanged), EINVAL, "no number of this name");
  CHECK_FAILS(cow_arena_stat(arena, "handler_time", &unchanged), EINVAL, "no number of this name");
  CHECK_FAILS(cow_arena_stat(arena, "", &unchanged), EINVAL, "no number of this name");
  CHECK_FAILS(cow_arena_stat(arena, NULL, &unchanged), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_stat(arena, "epoch", NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_stat(NULL, "epoch", &unchanged), EINVAL, "the arena is NULL");
  CHECK(unchanged == 77);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(a_page_map_is_told_as_data) {
  cow_arena *arena = arena_of(256), *clone;
  cow_snapshot* snapshot;
  cow_page_map* map;
  uint64_t pages_in[4] = {0, 0, 0, 0}, next = 0;
  size_t i, shown_by_the_clone = 0;
  memset(bytes_of(arena), 1, 3 * cow_page_size());
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0 && cow_snapshot_clone(snapshot, &clone) == 0);
  bytes_of(arena)[0] = 2;
  CHECK(cow_arena_page_map(arena, &map) == 0);
  CHECK(map->size == sizeof *map && map->pages == 256 && map->page_bytes == cow_page_size() && map->snapshots == 1);
  for (i = 0; i < map->run_count; ++i) {
    const cow_page_group* group = &map->groups[map->runs[i].group];
    CHECK(map->runs[i].group < map->group_count && map->runs[i].pages.first == next);
    next += map->runs[i].pages.count;
    pages_in[group->state] += map->runs[i].pages.count;
  }
  for (i = 0; i < map->group_count; ++i) {
    const cow_page_group* group = &map->groups[i];
    CHECK(group->gone_clones == 0 && group->oldest_snapshot == (group->state == COW_PAGE_SHARED));
    if (group->clone_count == 0) continue;
    CHECK(group->clone_count == 1 && group->clones[0] == cow_arena_data(clone));
    shown_by_the_clone += group->pages;
  }
  CHECK(next == 256 && pages_in[COW_PAGE_UNWRITTEN] > 100 && pages_in[COW_PAGE_BORROWED] == 0);
  CHECK(pages_in[COW_PAGE_PRIVATE] == 1 && pages_in[COW_PAGE_SHARED] >= 2);
  CHECK(shown_by_the_clone == pages_in[COW_PAGE_SHARED]);
  cow_free(map);
  CHECK(cow_arena_page_map(clone, &map) == 0 && map->groups[map->runs[0].group].state == COW_PAGE_BORROWED);
  cow_free(map);
  CHECK_FAILS(cow_arena_page_map(NULL, &map), EINVAL, "the arena is NULL");
  CHECK(map == NULL);
  CHECK_FAILS(cow_arena_page_map(arena, NULL), EINVAL, "NULL");
  cow_snapshot_release(snapshot);
  cow_arena_close(clone);
  cow_arena_close(arena);
}

TEST(a_page_map_is_drawn_in_the_style_that_is_asked_for) {
  cow_arena* arena = arena_of(64);
  cow_page_map_style style = {sizeof style, 8, 1, 0, 0};
  char *text, *usual;
  memset(bytes_of(arena), 1, 64 * cow_page_size());
  CHECK(cow_arena_draw_pages(arena, NULL, &usual) == 0 && cow_arena_draw_pages(arena, &style, &text) == 0);
  CHECK(strlen(text) < strlen(usual));
  cow_free(text);
  style.colours = 1;
  CHECK(cow_arena_draw_pages(arena, &style, &text) == 0);
  CHECK(strchr(text, '\033') != NULL && strchr(usual, '\033') == NULL);
  cow_free(text);
  cow_free(usual);
  style.svg = 1;
  CHECK(cow_arena_draw_pages(arena, &style, &text) == 0 && strncmp(text, "<svg", 4) == 0);
  cow_free(text);
  style.rows = 0;
  CHECK_FAILS(cow_arena_draw_pages(arena, &style, &text), EINVAL, "columns or rows");
  CHECK(text == NULL);
  style.size = 0;
  CHECK_FAILS(cow_arena_draw_pages(arena, &style, &text), EINVAL, "too small");
  CHECK_FAILS(cow_arena_draw_pages(arena, NULL, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_draw_pages(NULL, NULL, &text), EINVAL, "the arena is NULL");
  cow_arena_close(arena);
}

TEST(a_fault_profile_is_told_as_data) {
  cow_arena* arena = arena_of(16);
  cow_snapshot* snapshot;
  cow_fault_profile* profile;
  uint64_t samples = 0, pages = 0;
  size_t i, j;
  memset(bytes_of(arena), 1, 16 * cow_page_size());
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0 && cow_fault_profile_start(1, 0) == 0);
  bytes_of(arena)[0] = 2;
  bytes_of(arena)[9 * cow_page_size()] = 2;
  cow_fault_profile_stop();
  CHECK(cow_fault_profile_get(&profile) == 0);
  CHECK(profile->size == sizeof *profile && profile->every == 1 && profile->faults == 2 && profile->dropped == 0);
  CHECK(profile->page_bytes == cow_page_size() && profile->stack_count != 0);
  for (i = 0; i < profile->stack_count; ++i) {
    const cow_profiled_stack* stack = &profile->stacks[i];
    CHECK(strcmp(stack->arena, "of a C test") == 0 && stack->place_count != 0);
    for (j = 0; j < stack->place_count; ++j) CHECK(strlen(stack->places[j].module) != 0);
    samples += stack->samples;
    pages += stack->pages;
  }
  CHECK(samples == 2 && pages >= 2);
  cow_free(profile);
  CHECK(cow_fault_profile_start(1, 0) == 0); /* forgets */
  cow_fault_profile_stop();
  CHECK(cow_fault_profile_get(&profile) == 0 && profile->stack_count == 0 && profile->faults == 0);
  cow_free(profile);
  CHECK_FAILS(cow_fault_profile_get(NULL), EINVAL, "NULL");
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

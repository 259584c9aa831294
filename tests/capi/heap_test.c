/* Promise: a heap is a malloc whose content goes back, and along, with its arena. */
#include <stdlib.h>

#include "capi/check.h"

static cow_heap* heap_of(cow_arena* arena) {
  cow_heap* heap = NULL;
  if (cow_heap_open(arena, NULL, &heap) != 0) check_failed(__FILE__, __LINE__, cow_last_error());
  return heap;
}

TEST(blocks_come_and_go) {
  cow_arena* arena = arena_of(1024);
  cow_heap* heap = heap_of(arena);
  cow_heap_stats stats;
  char *text, *longer;
  void *empty, *aligned;
  CHECK((text = cow_heap_strdup(heap, "hello")) != NULL && strcmp(text, "hello") == 0);
  CHECK(cow_arena_contains(arena, text) == 1);
  CHECK(cow_heap_usable_size(heap, text) >= 6);
  CHECK(cow_heap_usable_size(heap, text) == cow_heap_rounded_size(6));
  CHECK((longer = (char*)cow_heap_realloc(heap, text, 100000)) != NULL && strcmp(longer, "hello") == 0);
  CHECK((longer = (char*)cow_heap_realloc(heap, longer, 0)) != NULL && cow_heap_usable_size(heap, longer) < 4096);
  CHECK((empty = cow_heap_malloc(heap, 0)) != NULL);
  CHECK((aligned = cow_heap_aligned_alloc(heap, 1024, 10)) != NULL && (uintptr_t)aligned % 1024 == 0);
  stats.size = sizeof stats;
  CHECK(cow_heap_get_stats(heap, &stats) == 0 && stats.live_blocks == 3 && stats.size == sizeof stats);
  cow_heap_free(heap, empty);
  cow_heap_free(heap, aligned);
  cow_heap_free(heap, longer);
  cow_heap_free(heap, NULL);
  CHECK(cow_heap_get_stats(heap, &stats) == 0 && stats.live_blocks == 0 && stats.refused_frees == 0);
  CHECK(cow_heap_check(heap) == 0 && cow_heap_trim(heap) == 0);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(what_calloc_gives_is_zero_whatever_was_there) {
  static const size_t sizes[] = {1, 100, 8192, 8193, 70000, 1000000};
  cow_arena* arena = arena_of(4096);
  cow_heap* heap = heap_of(arena);
  size_t i, round;
  void* block;
  for (round = 0; round < 4; ++round) {
    for (i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
      CHECK((block = cow_heap_calloc(heap, sizes[i], 1)) != NULL);
      CHECK(all_are(block, sizes[i], 0));
      memset(block, 0xff, sizes[i]);
      cow_heap_free(heap, block);
    }
    if (round == 1) CHECK(cow_heap_trim(heap) == 0);
  }
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(a_large_fresh_calloc_takes_no_memory) {
  cow_arena* arena = arena_of(16384);
  cow_heap* heap = heap_of(arena);
  cow_memory_account before, after;
  before.size = after.size = sizeof before;
  CHECK(cow_arena_memory(arena, &before) == 0);
  CHECK(cow_heap_calloc(heap, 1000, 10000) != NULL);
  CHECK(cow_arena_memory(arena, &after) == 0);
  CHECK(after.kernel_bytes - before.kernel_bytes < 1000000);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(a_full_heap_says_so_and_leaves_the_block_alone) {
  cow_arena* arena = arena_of(64);
  cow_heap* heap = heap_of(arena);
  char* text = cow_heap_strdup(heap, "kept");
  errno = 0;
  CHECK(cow_heap_malloc(heap, (size_t)1 << 40) == NULL && errno == ENOMEM);
  CHECK(strstr(cow_last_error(), "cow_heap_malloc: ") == cow_last_error());
  CHECK(strstr(cow_last_error(), "\"of a C test\"") != NULL && strstr(cow_last_error(), "1099511627776") != NULL);
  errno = 0;
  CHECK(cow_heap_realloc(heap, text, (size_t)-1) == NULL && errno == ENOMEM && strcmp(text, "kept") == 0);
  errno = 0;
  CHECK(cow_heap_calloc(heap, (size_t)1 << 40, 1) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(cow_heap_calloc(heap, (size_t)1 << 40, (size_t)1 << 40) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(cow_heap_aligned_alloc(heap, 3, 1) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(cow_heap_realloc(heap, text + 1, 1) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(cow_heap_strdup(heap, NULL) == NULL && errno == EINVAL);
  CHECK(cow_zlib_alloc(heap, 0xffffffffu, 0xffffffffu) == NULL);
  CHECK(cow_heap_check(heap) == 0);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

/* Lua goes on as if it could not fail. */
TEST(a_block_shrinks_in_a_full_heap) {
  cow_arena* arena = arena_of(64);
  cow_heap* heap = heap_of(arena);
  size_t n;
  void *large = cow_heap_malloc(heap, 3 * cow_page_size()), *small = cow_heap_malloc(heap, 1000);
  memset(small, 1, 1000);
  memset(large, 2, 3 * cow_page_size());
  for (n = 64 * cow_page_size(); n != 0; n /= 2) {
    while (cow_heap_malloc(heap, n) != NULL) continue;
  }
  large = cow_lua_alloc(heap, large, 3 * cow_page_size(), 10);
  small = cow_lua_alloc(heap, small, 1000, 10);
  CHECK(large != NULL && small != NULL && all_are(small, 10, 1) && all_are(large, 10, 2));
  CHECK(cow_heap_realloc(heap, small, 0) == small && cow_heap_check(heap) == 0);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(handles_on_one_heap_mean_the_same) {
  cow_arena *arena = arena_of(64), *other = arena_of(64);
  cow_heap *heap = heap_of(arena), *again = heap_of(arena), *of_other = heap_of(other);
  unsigned char* zero = (unsigned char*)cow_heap_aligned_calloc(heap, 256, 1000);
  CHECK(cow_heap_same(heap, again) == 1 && cow_heap_same(heap, of_other) == 0);
  CHECK(((uintptr_t)zero & 255) == 0 && all_are(zero, 1000, 0));
  cow_heap_free(again, zero);
  CHECK(cow_heap_last_refused(heap) == NULL);
  cow_heap_close(heap);
  cow_heap_close(again);
  cow_heap_close(of_other);
  cow_arena_close(other);
  cow_arena_close(arena);
}

TEST(the_process_heap_outlives_the_handle_that_it_was_set_by) {
  cow_arena *arena = arena_of(64), *other = arena_of(64);
  cow_heap *heap = heap_of(arena), *again = heap_of(arena), *of_other = heap_of(other);
  cow_heap_stats stats;
  char *block, *resized;
  CHECK(cow_process_heap_set(heap) == 0);
  block = (char*)cow_process_malloc(100);
  cow_heap_close(heap);
  CHECK(cow_arena_contains(arena, block) == 1 && cow_process_usable_size(block) >= 100);
  resized = (char*)cow_process_realloc(block, 200);
  CHECK(cow_arena_contains(arena, resized) == 1);
  CHECK(cow_process_heap_set(NULL) == 0 && cow_process_heap_set(again) == 0);
  cow_process_free(resized);
  stats.size = sizeof stats;
  CHECK(cow_heap_get_stats(again, &stats) == 0 && stats.live_blocks == 0);
  CHECK(cow_process_heap_set(of_other) == 0);
  block = (char*)cow_process_strdup("there");
  CHECK(cow_arena_contains(other, block) == 1);
  cow_process_free(block);
  CHECK(cow_process_heap_set(NULL) == 0);
  cow_heap_close(of_other);
  cow_heap_close(again);
  cow_arena_close(other);
  cow_arena_close(arena);
}

TEST(what_sqlite_cannot_mean_is_refused) {
  cow_arena* arena = arena_of(64);
  cow_heap* heap = heap_of(arena);
  char* block;
  CHECK(cow_sqlite_init(NULL) != 0 && strstr(cow_last_error(), "the heap is NULL") != NULL);
  CHECK(cow_sqlite_init(heap) == 0);
  block = (char*)cow_sqlite_malloc(100);
  CHECK(cow_arena_contains(arena, block) == 1 && cow_sqlite_size(block) >= 100);
  CHECK(cow_sqlite_roundup(100) == cow_sqlite_size(block) && cow_sqlite_roundup(0x7fffffff) >= 0x7fffffff);
  CHECK(cow_sqlite_malloc(-1) == NULL && cow_sqlite_realloc(block, -1) == NULL && cow_sqlite_size(NULL) == 0);
  CHECK(cow_sqlite_realloc(block, 0x7fffffff) == NULL && cow_sqlite_size(block) >= 100);
  cow_sqlite_free(block);
  cow_sqlite_shutdown(heap);
  errno = 0;
  CHECK(cow_sqlite_malloc(1) == NULL && errno == EINVAL && cow_sqlite_size(block) == 0);
  CHECK(cow_heap_check(heap) == 0 && cow_heap_last_refused(heap) == NULL);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(frees_of_no_block_are_refused_and_counted) {
  cow_arena* arena = arena_of(64);
  cow_heap* heap = heap_of(arena);
  cow_heap_stats stats;
  char* block = (char*)cow_heap_malloc(heap, 100);
  cow_heap_free(heap, block + 1);
  cow_heap_free(heap, &stats);
  cow_heap_free(heap, block);
  cow_heap_free(heap, block);
  stats.size = sizeof stats;
  CHECK(cow_heap_get_stats(heap, &stats) == 0 && stats.refused_frees == 3 && stats.live_blocks == 0);
  CHECK(cow_heap_check(heap) == 0);
  CHECK(cow_heap_last_refused(heap) == block);
  stats.size = 8;
  CHECK_FAILS(cow_heap_get_stats(heap, &stats), EINVAL, "too small");
  CHECK_FAILS(cow_heap_get_stats(heap, NULL), EINVAL, "NULL");
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(a_damaged_heap_is_told) {
  cow_arena* arena = arena_of(64);
  cow_heap* heap = heap_of(arena);
  cow_heap_malloc(heap, 100);
  memset(bytes_of(arena) + 64, 0x55, 256); /* its books lie at the arena's start */
  CHECK(cow_heap_check(heap) == -EIO && strlen(cow_last_error()) > 20);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(a_heap_wants_an_arena_that_it_can_have) {
  cow_arena *written = arena_of(64), *small = arena_of(1);
  cow_heap* heap;
  cow_heap_options options;
  bytes_of(written)[0] = 1;
  CHECK_FAILS(cow_heap_open(written, NULL, &heap), EINVAL, "holds no heap");
  CHECK_FAILS(cow_heap_open(small, NULL, &heap), EINVAL, "no room");
  CHECK_FAILS(cow_heap_open(small, NULL, NULL), EINVAL, "NULL");
  cow_heap_options_init(&options);
  options.size = 1;
  CHECK_FAILS(cow_heap_open(small, &options, &heap), EINVAL, "_init()");
  cow_arena_close(small);
  cow_arena_close(written);
}

TEST(the_root_is_found_in_a_clone_and_in_a_view) {
  cow_arena *arena = arena_of(1024), *clone;
  cow_heap_options options;
  cow_heap *heap, *of_clone, *again;
  cow_snapshot* snapshot;
  cow_view* view;
  char* text;
  cow_heap_options_init(&options);
  options.keep_free_bytes = 0;
  CHECK(cow_heap_open(arena, &options, &heap) == 0);
  CHECK(cow_heap_root(heap) == NULL);
  text = cow_heap_strdup(heap, "then");
  CHECK(cow_heap_set_root(heap, text) == 0);
  CHECK_FAILS(cow_heap_set_root(heap, &options), EINVAL, "must lie in");
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  strcpy(text, "now");
  CHECK(cow_snapshot_clone(snapshot, &clone) == 0 && cow_heap_open(clone, NULL, &of_clone) == 0);
  CHECK(strcmp((char*)cow_heap_root(of_clone), "then") == 0 && cow_arena_contains(clone, cow_heap_root(of_clone)));
  cow_heap_free(of_clone, cow_heap_root(of_clone));
  CHECK(cow_snapshot_view(snapshot, &view) == 0);
  CHECK(strcmp((const char*)cow_view_root(view), "then") == 0);
  CHECK(strcmp((char*)cow_heap_root(heap), "now") == 0);
  CHECK(cow_heap_open(arena, NULL, &again) == 0 && cow_heap_root(again) == text);
  cow_heap_close(heap);
  CHECK(cow_heap_root(again) == text);
  cow_heap_close(again);
  cow_view_close(view);
  cow_snapshot_release(snapshot);
  cow_heap_close(of_clone);
  cow_arena_close(clone);
  cow_arena_close(arena);
}

TEST(a_rollback_takes_allocations_back) {
  cow_arena* arena = arena_of(1024);
  cow_heap* heap = heap_of(arena);
  cow_snapshot *before, *empty;
  cow_heap_stats stats;
  CHECK(cow_arena_snapshot(arena, &before) == 0);
  CHECK(cow_heap_malloc(heap, 100) != NULL);
  stats.size = sizeof stats;
  CHECK(cow_arena_rollback(arena, before) == 0);
  CHECK(cow_heap_get_stats(heap, &stats) == 0 && stats.live_blocks == 0);
  cow_snapshot_release(before);
  cow_heap_close(heap);
  cow_arena_close(arena);

  arena = arena_of(1024);
  CHECK(cow_arena_snapshot(arena, &empty) == 0);
  heap = heap_of(arena);
  CHECK(cow_arena_rollback(arena, empty) == 0);
  errno = 0;
  CHECK(cow_heap_malloc(heap, 100000) == NULL && errno == EPERM); /* the heap is gone with what it was made of */
  CHECK_FAILS(cow_heap_get_stats(heap, &stats), EPERM, "heap");
  cow_snapshot_release(empty);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

TEST(the_process_heap_takes_back_what_it_did_not_give) {
  cow_arena* arena = arena_of(1024);
  cow_heap* heap = heap_of(arena);
  cow_heap_stats stats = {sizeof stats, 0, 0, 0, 0, 0, 0};
  char *of_libc = cow_process_strdup("libc's"), *of_arena;
  CHECK(of_libc != NULL && cow_arena_contains(arena, of_libc) == 0);
  CHECK(cow_process_heap_set(heap) == 0);
  CHECK((of_arena = cow_process_strdup("the arena's")) != NULL && cow_arena_contains(arena, of_arena) == 1);
  CHECK(cow_process_usable_size(of_arena) >= 12 && cow_process_usable_size(of_libc) >= 7);
  CHECK((of_libc = (char*)cow_process_realloc(of_libc, 1000)) != NULL && cow_arena_contains(arena, of_libc) == 0);
  CHECK((of_arena = (char*)cow_process_realloc(of_arena, 100000)) != NULL && cow_arena_contains(arena, of_arena) == 1);
  CHECK(strcmp(of_libc, "libc's") == 0 && strcmp(of_arena, "the arena's") == 0);
  cow_process_free(of_libc);
  cow_process_free(of_arena);
  cow_process_free(NULL);
  CHECK((of_arena = (char*)cow_process_calloc(10, 10)) != NULL && all_are(of_arena, 100, 0));
  cow_process_free(of_arena);
  CHECK((of_arena = (char*)cow_process_aligned_alloc(256, 10)) != NULL && (uintptr_t)of_arena % 256 == 0);
  cow_process_free(of_arena);
  CHECK((of_arena = (char*)cow_process_malloc(10)) != NULL && cow_arena_contains(arena, of_arena) == 1);
  cow_process_free(of_arena);
  CHECK(cow_heap_get_stats(heap, &stats) == 0 && stats.live_blocks == 0 && stats.refused_frees == 0);
  CHECK(cow_process_heap_set(NULL) == 0);
  CHECK((of_libc = (char*)cow_process_aligned_alloc(256, 10)) != NULL && cow_arena_contains(arena, of_libc) == 0);
  cow_process_free(of_libc);
  CHECK((of_libc = (char*)cow_process_calloc(10, 10)) != NULL && all_are(of_libc, 100, 0));
  of_libc = (char*)cow_process_realloc(of_libc, 0);
  cow_process_free(of_libc);
  errno = 0;
  CHECK(cow_process_aligned_alloc(24, 10) == NULL && errno == EINVAL);
  CHECK(cow_process_strdup(NULL) == NULL);
  CHECK_FAILS(cow_process_heap_set(NO_HANDLE(cow_heap)), EINVAL, "is no heap");
  cow_heap_close(heap);
  cow_arena_close(arena);
}

/* Promise: the rules of cow/cow.h hold for every function: a place for a result is NULL after an error, a structure's
 * size is a size, and texts use the words of C. */
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "capi/check.h"

static const char some[] = "something else";
#define OTHER(type) ((type*)(uintptr_t)some)

TEST(a_place_for_a_result_is_null_after_an_error) {
  cow_arena* arena = arena_of(8);
  cow_snapshot* snapshot = NULL;
  cow_arena* arenas[6];
  cow_snapshot* snapshots[2];
  cow_view* view = OTHER(cow_view);
  cow_heap* heap = OTHER(cow_heap);
  cow_gate* gate = OTHER(cow_gate);
  cow_transaction* transaction = OTHER(cow_transaction);
  cow_write_refusal* refusal = OTHER(cow_write_refusal);
  cow_page_range* ranges[2] = {OTHER(cow_page_range), OTHER(cow_page_range)};
  size_t counts[2] = {7, 7}, i;
  cow_page_map* map = OTHER(cow_page_map);
  char* texts[7];
  cow_arena_options options;
  for (i = 0; i < 6; ++i) arenas[i] = OTHER(cow_arena);
  for (i = 0; i < 2; ++i) snapshots[i] = OTHER(cow_snapshot);
  for (i = 0; i < 7; ++i) texts[i] = (char*)(uintptr_t)some;
  cow_arena_options_init(&options);
  options.barrier = 99;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_open(&options, &arenas[0]) == -EINVAL && arenas[0] == NULL);
  CHECK(cow_arena_clone(NULL, &arenas[1]) == -EINVAL && arenas[1] == NULL);
  CHECK(cow_snapshot_clone(NULL, &arenas[2]) == -EINVAL && arenas[2] == NULL);
  CHECK(cow_arena_load("/no such file", NULL, &arenas[3]) == -ENOENT && arenas[3] == NULL);
  CHECK(cow_arena_load_fd(-1, NULL, &arenas[4]) < 0 && arenas[4] == NULL);
  CHECK(cow_arena_load(NULL, NULL, &arenas[5]) == -EINVAL && arenas[5] == NULL);
  CHECK(cow_arena_snapshot(NULL, &snapshots[0]) == -EINVAL && snapshots[0] == NULL);
  CHECK(cow_snapshot_retain(NULL, &snapshots[1]) == -EINVAL && snapshots[1] == NULL);
  CHECK(cow_snapshot_view(NULL, &view) == -EINVAL && view == NULL);
  CHECK(cow_heap_open(NULL, NULL, &heap) == -EINVAL && heap == NULL);
  CHECK(cow_gate_open(NULL) == -EINVAL && cow_gate_open(&gate) == 0 && gate != NULL);
  CHECK(cow_transaction_begin(NULL, &transaction) == -EINVAL && transaction == NULL);
  CHECK(cow_refuse_writes(arena, 9, &refusal) == -EINVAL && refusal == NULL);
  CHECK(cow_arena_changed_since(arena, NULL, &ranges[0], &counts[0]) == -EINVAL);
  CHECK(cow_changed_between(snapshot, NULL, &ranges[1], &counts[1]) == -EINVAL);
  for (i = 0; i < 2; ++i) CHECK(ranges[i] == NULL && counts[i] == 0);
  CHECK(cow_arena_page_map(NULL, &map) == -EINVAL && map == NULL);
  CHECK(cow_arena_stats_json(NULL, &texts[0]) == -EINVAL);
  CHECK(cow_arena_report(arena, 99, &texts[1]) == -EINVAL);
  CHECK(cow_arena_draw_pages(NULL, NULL, &texts[2]) == -EINVAL);
  CHECK(cow_fault_profile_report(99, &texts[3]) == -EINVAL);
  CHECK(cow_fault_profile_report_by(99, 0, 1, &texts[4]) == -EINVAL);
  CHECK(cow_saved_file_texts("/no such file", &texts[5], &texts[6]) == -ENOENT);
  for (i = 0; i < 7; ++i) CHECK(texts[i] == NULL);
  cow_gate_close(gate);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

/* Whether each size from `first` on that ends inside a member is refused; `call` gets a structure of that size. */
static int odd_sizes_are_refused(size_t first, size_t whole, int (*call)(void* structure, void* context),
                                 void* context) {
  union {
    size_t size;
    max_align_t aligned;
    unsigned char bytes[256];
  } of;
  size_t size;
  for (size = 0; size < whole + 8; ++size) {
    memset(&of, 0, sizeof of);
    of.size = size;
    if ((size < first || size % sizeof(void*) != 0) && call(&of, context) != -EINVAL) return 0;
  }
  return 1;
}

static int open_arena(void* options, void* nothing) {
  cow_arena* arena = (cow_arena*)nothing;
  const int error = cow_arena_open((const cow_arena_options*)options, &arena);
  cow_arena_close(arena);
  return error;
}
static int open_heap(void* options, void* arena) {
  cow_heap* heap;
  const int error = cow_heap_open((cow_arena*)arena, (const cow_heap_options*)options, &heap);
  cow_heap_close(heap);
  return error;
}
static int set_hook(void* hook, void* arena) {
  return cow_arena_set_cut_hook((cow_arena*)arena, (const cow_cut_hook*)hook);
}
static int save_it(void* options, void* snapshot) {
  return cow_snapshot_save((const cow_snapshot*)snapshot, "/no such folder/file", (const cow_save_options*)options);
}
static int load_it(void* options, void* nothing) {
  cow_arena* arena = (cow_arena*)nothing;
  return cow_arena_load("/no such file", (const cow_load_options*)options, &arena);
}
static int inspect_it(void* file, void* nothing) {
  (void)nothing;
  return cow_saved_file_inspect("/no such file", (cow_saved_file*)file);
}
static int get_stats(void* stats, void* heap) {
  return cow_heap_get_stats((const cow_heap*)heap, (cow_heap_stats*)stats);
}
static int account(void* account, void* arena) {
  return cow_arena_memory((const cow_arena*)arena, (cow_memory_account*)account);
}
static int draw(void* style, void* arena) {
  char* text = NULL;
  const int error = cow_arena_draw_pages((const cow_arena*)arena, (const cow_page_map_style*)style, &text);
  cow_free(text);
  return error;
}

TEST(a_size_that_ends_inside_a_member_is_refused) {
  cow_arena *arena = arena_of(64), *hooked = arena_of(8);
  cow_snapshot* snapshot;
  cow_heap* heap;
  CHECK(cow_heap_open(arena, NULL, &heap) == 0 && cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(odd_sizes_are_refused(offsetof(cow_arena_options, gate), sizeof(cow_arena_options), open_arena, NULL));
  CHECK(odd_sizes_are_refused(sizeof(cow_heap_options), sizeof(cow_heap_options), open_heap, arena));
  CHECK(odd_sizes_are_refused(sizeof(cow_cut_hook), sizeof(cow_cut_hook), set_hook, hooked));
  CHECK(odd_sizes_are_refused(sizeof(cow_save_options), sizeof(cow_save_options), save_it, snapshot));
  CHECK(odd_sizes_are_refused(offsetof(cow_load_options, gate), sizeof(cow_load_options), load_it, NULL));
  CHECK(odd_sizes_are_refused(sizeof(cow_saved_file), sizeof(cow_saved_file), inspect_it, NULL));
  CHECK(odd_sizes_are_refused(sizeof(cow_heap_stats), sizeof(cow_heap_stats), get_stats, heap));
  CHECK(odd_sizes_are_refused(offsetof(cow_memory_account, front_bytes), sizeof(cow_memory_account), account, arena));
  CHECK(odd_sizes_are_refused(sizeof(cow_page_map_style), sizeof(cow_page_map_style), draw, arena));
  cow_heap_close(heap);
  cow_snapshot_release(snapshot);
  cow_arena_close(hooked);
  cow_arena_close(arena);
}

/* No name of C++ in the last error, and what is asked for. */
static int in_words_of_c(const char* says) {
  static const char* const of_cpp[] = {"::", "Heap", "Arena", "Snapshot", "Options", "View", "RefuseWrites",
                                       " adopt()", " at()", " exclude()", "set_root:", "Heap::root"};
  const char* const text = cow_last_error();
  size_t i;
  for (i = 0; i < sizeof of_cpp / sizeof of_cpp[0]; ++i) {
    const char* const found = strstr(text, of_cpp[i]);
    if (found == NULL || (found != text && found[-1] == '_')) continue;
    fprintf(stderr, "\"%s\" in: %s\n", of_cpp[i], text);
    return 0;
  }
  if (strstr(text, says) != NULL) return 1;
  fprintf(stderr, "no \"%s\" in: %s\n", says, text);
  return 0;
}

TEST(texts_use_the_words_of_c) {
  cow_arena *arena = arena_of(64), *other = arena_of(64), *written = arena_of(64), *excluded = arena_of(512), *clone;
  cow_snapshot *before, *of_other;
  cow_transaction *outer, *inner;
  cow_heap* heap;
  cow_view* view;
  long outside;
  CHECK(cow_arena_snapshot(arena, &before) == 0 && cow_arena_snapshot(other, &of_other) == 0);
  CHECK(cow_arena_clone(arena, &clone) == 0);
  CHECK(cow_arena_rollback(arena, of_other) == -EINVAL && in_words_of_c("cow_arena_adopt()"));
  CHECK(cow_transaction_begin(arena, &outer) == 0 && cow_transaction_begin(arena, &inner) == 0);
  CHECK(cow_arena_rollback(arena, before) == -EPERM && in_words_of_c("cow_transaction_roll_back()"));
  CHECK(cow_transaction_commit(outer) == -EPERM && in_words_of_c("commit that"));
  CHECK(cow_transaction_commit(inner) == 0 && cow_transaction_commit(outer) == 0);
  CHECK(cow_arena_at(clone, arena, &outside, sizeof outside) == NULL && in_words_of_c("\"of a C test\""));
  CHECK(cow_arena_at(clone, other, cow_arena_data(other), 8) == NULL && in_words_of_c("different families"));
  CHECK(cow_heap_open(arena, NULL, &heap) == 0);
  CHECK(cow_heap_set_root(heap, &outside) == -EINVAL && in_words_of_c("cow_heap_set_root"));
  CHECK(cow_heap_realloc(heap, &outside, 8) == NULL && in_words_of_c("not a live block"));
  CHECK(cow_heap_aligned_alloc(heap, 3, 8) == NULL && in_words_of_c("power of two"));
  CHECK(cow_heap_malloc(heap, 64 * cow_page_size()) == NULL && in_words_of_c("no room"));
  CHECK(cow_snapshot_view(of_other, &view) == 0 && cow_view_root(view) == NULL && in_words_of_c("holds no heap"));
  cow_view_close(view);
  bytes_of(written)[0] = 1;
  CHECK(cow_heap_open(written, NULL, &heap) == -EINVAL && in_words_of_c("holds no heap"));
  CHECK(cow_arena_exclude(excluded, bytes_of(excluded) + 256 * cow_page_size(), cow_page_size()) == 0);
  CHECK(cow_heap_open(excluded, NULL, &heap) == -EINVAL && in_words_of_c("excluded"));
  CHECK(cow_arena_write(arena, bytes_of(arena) + 64 * cow_page_size() - 4, "12345678", 8) == -EINVAL);
  CHECK(in_words_of_c("8 bytes from byte") && in_words_of_c("goes beyond arena \"of a C test\", which has"));
  CHECK(cow_arena_discard(arena, &outside, 8) == -EINVAL && in_words_of_c("is outside arena"));
  cow_snapshot_release(before);
  cow_snapshot_release(of_other);
  cow_arena_close(clone);
  cow_arena_close(excluded);
  cow_arena_close(written);
  cow_arena_close(other);
  cow_arena_close(arena);
}

TEST(a_block_larger_than_sqlite_can_tell_has_the_largest_size_it_can) {
  cow_arena_options options;
  cow_arena* arena;
  cow_heap* heap;
  void *sqlites, *larger;
  cow_arena_options_init(&options);
  if (sizeof(size_t) < 8) return;
  options.capacity = (size_t)6 << 30;
  CHECK(cow_arena_open(&options, &arena) == 0 && cow_heap_open(arena, NULL, &heap) == 0);
  CHECK(cow_sqlite_init(heap) == 0);
  sqlites = cow_sqlite_malloc(INT_MAX);
  CHECK(sqlites != NULL && cow_sqlite_size(sqlites) == INT_MAX && cow_sqlite_roundup(INT_MAX) == INT_MAX);
  larger = cow_heap_malloc(heap, (size_t)3 << 30);
  CHECK(larger != NULL && cow_sqlite_size(larger) == INT_MAX);
  cow_sqlite_shutdown(heap);
  cow_heap_close(heap);
  cow_arena_close(arena);
}

/* Promise: what is wrong is a negative errno and a text that says what; the state is that from before. */
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capi/check.h"

/* Everything that wants an arena, given none. */
static int arena_calls_refuse(cow_arena* arena, const char* says) {
  cow_snapshot* snapshot = NO_HANDLE(cow_snapshot);
  cow_arena* clone = NO_HANDLE(cow_arena);
  cow_heap* heap = NO_HANDLE(cow_heap);
  cow_page_range* ranges = (cow_page_range*)&clone;
  size_t count = 9;
  char* text = (char*)&clone;
  uint64_t pages;
  int64_t result;
  char buffer[1] = {0};
  cow_write batch = {buffer, buffer, 1};
  cow_memory_account account = {sizeof account, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  cow_cut_hook hook = {sizeof hook, NULL, NULL, NULL, NULL};
  int wrong = 0;
#define REFUSED(call) wrong += ((call) != -EINVAL) || strstr(cow_last_error(), says) == NULL
  REFUSED(cow_arena_snapshot(arena, &snapshot));
  REFUSED(cow_arena_clone(arena, &clone));
  REFUSED(cow_arena_rollback(arena, NULL));
  REFUSED(cow_arena_write(arena, buffer, buffer, 1));
  REFUSED(cow_arena_write_batch(arena, &batch, 1));
  REFUSED(cow_arena_prepare_write(arena, buffer, 1));
  REFUSED(cow_arena_is_writable(arena, buffer, 1));
  REFUSED(cow_arena_retry_on_efault(arena, buffer, 1, NULL, NULL, &result));
  REFUSED(cow_arena_discard(arena, buffer, 1));
  REFUSED(cow_arena_exclude(arena, buffer, 1));
  REFUSED(cow_arena_changed_since(arena, NULL, &ranges, &count));
  REFUSED(cow_arena_contains(arena, buffer));
  REFUSED(cow_arena_barrier(arena));
  REFUSED(cow_arena_set_cut_hook(arena, &hook));
  REFUSED(cow_heap_open(arena, NULL, &heap));
  REFUSED(cow_arena_stats_json(arena, &text));
  REFUSED(cow_arena_report(arena, COW_REPORT_DUMP, &text));
  REFUSED(cow_arena_memory(arena, &account));
  REFUSED(cow_arena_copies_since_snapshot(arena, &pages, &pages));
  wrong += snapshot != NULL || clone != NULL || heap != NULL || ranges != NULL || count != 0 || text != NULL;
  wrong += cow_arena_data(arena) != NULL || strstr(cow_last_error(), "cow_arena_data") == NULL;
  wrong += cow_arena_capacity(arena) != 0 || strstr(cow_last_error(), "cow_arena_capacity") == NULL;
  wrong += cow_arena_name(arena) != NULL || cow_arena_epoch(arena) != 0;
  cow_arena_close(arena);
  return wrong;
}

static int snapshot_calls_refuse(cow_arena* arena, cow_snapshot* snapshot, const char* says) {
  cow_snapshot* another = NO_HANDLE(cow_snapshot);
  cow_arena* clone = NO_HANDLE(cow_arena);
  cow_view* view = NO_HANDLE(cow_view);
  cow_page_range* ranges;
  size_t count;
  char buffer[1];
  int wrong = 0;
  REFUSED(cow_arena_rollback(arena, snapshot));
  REFUSED(cow_arena_changed_since(arena, snapshot, &ranges, &count));
  REFUSED(cow_snapshot_retain(snapshot, &another));
  REFUSED(cow_snapshot_same(snapshot, snapshot));
  REFUSED(cow_snapshot_clone(snapshot, &clone));
  REFUSED(cow_snapshot_view(snapshot, &view));
  REFUSED(cow_snapshot_read(snapshot, 0, buffer, 1));
  REFUSED(cow_snapshot_exclusive_bytes(snapshot, &count));
  wrong += another != NULL || clone != NULL || view != NULL || cow_snapshot_capacity(snapshot) != 0;
  cow_snapshot_release(snapshot);
  return wrong;
}

static int heap_calls_refuse(cow_heap* heap, const char* says) {
  cow_heap_stats stats = {sizeof stats, 0, 0, 0, 0, 0, 0};
  char block[16];
  int wrong = 0;
  REFUSED(cow_heap_set_root(heap, NULL));
  REFUSED(cow_heap_get_stats(heap, &stats));
  REFUSED(cow_heap_check(heap));
  REFUSED(cow_heap_same(heap, heap));
  REFUSED(cow_heap_trim(heap));
  if (heap != NULL) REFUSED(cow_process_heap_set(heap));
#define NULL_AND_EINVAL(call) \
  errno = 0;                  \
  wrong += (call) != NULL || errno != EINVAL || strstr(cow_last_error(), says) == NULL
  NULL_AND_EINVAL(cow_heap_malloc(heap, 1));
  NULL_AND_EINVAL(cow_heap_calloc(heap, 1, 1));
  NULL_AND_EINVAL(cow_heap_realloc(heap, block, 1));
  NULL_AND_EINVAL(cow_heap_aligned_alloc(heap, 64, 1));
  NULL_AND_EINVAL(cow_heap_aligned_calloc(heap, 64, 1));
  NULL_AND_EINVAL(cow_heap_strdup(heap, "text"));
  NULL_AND_EINVAL(cow_lua_alloc(heap, NULL, 0, 1));
  NULL_AND_EINVAL(cow_zlib_alloc(heap, 1, 1));
  NULL_AND_EINVAL(cow_opaque_malloc(heap, 1));
  NULL_AND_EINVAL(cow_opaque_realloc(heap, block, 1));
  wrong += cow_heap_last_refused(heap) != NULL || cow_heap_root(heap) != NULL || cow_heap_usable_size(heap, block) != 0;
  wrong += cow_sqlite_init(heap) == 0;
  errno = 0;
  cow_heap_free(heap, block);
  cow_zlib_free(heap, block);
  cow_opaque_free(heap, block);
  wrong += cow_lua_alloc(heap, block, 16, 0) != NULL || errno != 0;
  cow_heap_close(heap);
  return wrong;
}

TEST(null_is_refused_and_may_be_closed) {
  cow_arena* arena = arena_of(1);
  CHECK(arena_calls_refuse(NULL, "the arena is NULL") == 0);
  CHECK(snapshot_calls_refuse(arena, NULL, "the snapshot is NULL") == 0);
  CHECK(heap_calls_refuse(NULL, "the heap is NULL") == 0);
  CHECK(cow_view_data(NULL) == NULL && cow_view_size(NULL) == 0 && cow_view_root(NULL) == NULL);
  CHECK(strcmp(cow_last_error(), "cow_view_root: the view is NULL") == 0);
  cow_view_close(NULL);
  cow_free(NULL);
  cow_arena_options_init(NULL);
  cow_heap_options_init(NULL);
  cow_arena_close(arena);
}

TEST(closed_handles_are_refused_and_may_be_closed_again) {
  cow_arena *arena = arena_of(64), *closed = arena_of(64), *with_heap = arena_of(64), *next;
  cow_snapshot* snapshot;
  cow_view* view;
  cow_heap *heap, *of_closed;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_snapshot_view(snapshot, &view) == 0);
  CHECK(cow_heap_open(closed, NULL, &of_closed) == 0);
  CHECK(cow_heap_open(with_heap, NULL, &heap) == 0);
  cow_arena_close(closed);
  cow_snapshot_release(snapshot);
  cow_view_close(view);
  cow_heap_close(heap);
  next = arena_of(64); /* takes the place of one of them */
  CHECK(arena_calls_refuse(closed, "the arena was closed") == 0);
  CHECK(snapshot_calls_refuse(arena, snapshot, "the snapshot was closed") == 0);
  CHECK(heap_calls_refuse(heap, "the heap was closed") == 0);
  CHECK(heap_calls_refuse(of_closed, "the heap's arena was closed") == 0);
  CHECK(cow_view_data(view) == NULL && cow_view_size(view) == 0);
  cow_view_close(view);
  CHECK(cow_arena_capacity(next) == 64 * cow_page_size());
  cow_arena_close(next);
  cow_arena_close(with_heap);
  cow_arena_close(arena);
}

TEST(handles_of_another_kind_and_numbers_that_are_none_are_refused) {
  cow_arena* arena = arena_of(64);
  cow_snapshot* snapshot;
  uintptr_t number;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(arena_calls_refuse((cow_arena*)(void*)snapshot, "is no arena") == 0);
  CHECK(snapshot_calls_refuse(arena, (cow_snapshot*)(void*)arena, "is no snapshot") == 0);
  CHECK(heap_calls_refuse((cow_heap*)(void*)arena, "is no heap") == 0);
  for (number = 1; number != 0; number <<= 1) {
    CHECK(cow_arena_data((cow_arena*)number) == NULL);
    if ((number | 1) != (uintptr_t)arena) CHECK(cow_arena_data((cow_arena*)(number | 1)) == NULL);
    CHECK(cow_arena_data((cow_arena*)((uintptr_t)arena ^ number)) == NULL);
  }
  CHECK(cow_snapshot_capacity(snapshot) == cow_arena_capacity(arena));
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(options_that_cannot_be_are_refused) {
  struct {
    cow_arena_options known;
    long later;
  } longer;
  cow_arena_options options;
  cow_arena* arena = NO_HANDLE(cow_arena);
  cow_arena_options_init(&options);
  CHECK_FAILS(cow_arena_open(&options, NULL), EINVAL, "place for the new handle is NULL");
  options.capacity = 0;
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "cow_arena_open: ");
  CHECK(arena == NULL);
  options.capacity = cow_page_size();
  options.barrier = 77;
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "no such barrier");
  options.barrier = COW_BARRIER_MPROTECT;
  options.size = 8;
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "_init()");
  options.size = 0;
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "_init()");
  options.size = (size_t)-1; /* as what was never set may be */
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "no size");
  options.size = sizeof options;
  options.address = (void*)(((uintptr_t)&options & ~(uintptr_t)0xffff) + 1);
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "page");
  options.address = (void*)((uintptr_t)&options & ~(uintptr_t)0xffff);
  CHECK_FAILS(cow_arena_open(&options, &arena), EEXIST, "cow_arena_open: ");
  options.address = NULL;
  longer.known = options;
  longer.known.size = sizeof longer;
  longer.later = 1;
  CHECK_FAILS(cow_arena_open(&longer.known, &arena), E2BIG, "older than the program's header");
  longer.later = 0;
  CHECK(cow_arena_open(&longer.known, &arena) == 0);
  cow_arena_close(arena);
}

/* A program that was compiled when the structure was shorter, and one that knows names alone. */
TEST(options_of_an_older_header_are_taken_and_filled_as_far_as_they_go) {
  struct {
    cow_arena_options options;
    unsigned char behind[16];
  } place;
  const size_t first_size = offsetof(cow_arena_options, gate);
  cow_arena* arena = NULL;
  memset(&place, 0x55, sizeof place);
  (cow_arena_options_init)(&place.options);
  CHECK(place.options.size == first_size && place.options.capacity != 0 && place.options.in_core_dumps == 1);
  CHECK(all_are((unsigned char*)&place + first_size, sizeof place - first_size, 0x55));
  place.options.capacity = cow_page_size();
  CHECK(cow_arena_open(&place.options, &arena) == 0);
  cow_arena_close(arena);
  cow_arena_options_init_sized(&place.options, sizeof place); /* and one of a newer header */
  CHECK(place.options.size == sizeof place && all_are(place.behind, sizeof place.behind, 0));
  CHECK(cow_arena_open(&place.options, &arena) == 0);
  cow_arena_close(arena);
}

TEST(load_options_of_an_older_header_are_read_as_far_as_they_go) {
  struct {
    cow_load_options options;
    unsigned char behind[16];
  } place;
  const size_t first_size = offsetof(cow_load_options, gate);
  memset(&place, 0x55, sizeof place);
  (cow_load_options_init)(&place.options);
  CHECK(place.options.size == first_size && place.options.lazy == 1 && place.options.name == NULL);
  CHECK(all_are((unsigned char*)&place + first_size, sizeof place - first_size, 0x55));
  cow_load_options_init_sized(&place.options, sizeof place); /* and one of a newer header */
  CHECK(place.options.size == sizeof place && all_are(place.behind, sizeof place.behind, 0));
  CHECK(place.options.lazy == 1 && place.options.gate == NULL && place.options.quiet_cuts == 0);
}

TEST(results_of_an_older_header_are_filled_as_far_as_they_go) {
  cow_arena* arena = arena_of(4);
  cow_memory_account account;
  memset(&account, 0x55, sizeof account);
  account.size = offsetof(cow_memory_account, front_bytes);
  bytes_of(arena)[0] = 1;
  CHECK(cow_arena_memory(arena, &account) == 0 && account.live_bytes >= cow_page_size());
  CHECK(account.size == offsetof(cow_memory_account, front_bytes) && account.front_bytes == 0x5555555555555555u);
  account.size -= 8;
  CHECK_FAILS(cow_arena_memory(arena, &account), EINVAL, "too small");
  account.size = (size_t)-1;
  CHECK_FAILS(cow_arena_memory(arena, &account), EINVAL, "no size");
  cow_arena_close(arena);
}

TEST(ranges_and_pointers_that_cannot_be_are_refused) {
  cow_arena* arena = arena_of(4);
  cow_arena* other = arena_of(4);
  cow_snapshot *snapshot, *of_other;
  unsigned char* const end = bytes_of(arena) + 4 * cow_page_size();
  cow_write batch[2];
  cow_page_range* ranges;
  int64_t result;
  size_t count;
  uint64_t number;
  batch[0].to = bytes_of(arena);
  batch[0].from = "x";
  batch[0].bytes = 1;
  batch[1].to = end;
  batch[1].from = "x";
  batch[1].bytes = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0 && cow_arena_snapshot(other, &of_other) == 0);
  CHECK_FAILS(cow_arena_write(arena, end, "x", 1), EINVAL, "write");
  CHECK_FAILS(cow_arena_write(arena, bytes_of(arena), NULL, 1), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_write_batch(arena, batch, 2), EINVAL, "write");
  CHECK(bytes_of(arena)[0] == 0);
  batch[0].from = NULL;
  CHECK_FAILS(cow_arena_write_batch(arena, batch, 1), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_write_batch(arena, NULL, 1), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_prepare_write(arena, end - 1, 2), EINVAL, "prepare_write");
  CHECK_FAILS(cow_arena_is_writable(arena, end - 1, 2), EINVAL, "not inside");
  CHECK_FAILS(cow_arena_is_writable(arena, bytes_of(arena) - 1, 1), EINVAL, "not inside");
  CHECK_FAILS(cow_arena_retry_on_efault(arena, end, 1, NULL, NULL, &result), EINVAL, "function to call is NULL");
  CHECK_FAILS(cow_arena_discard(arena, bytes_of(arena), (size_t)-1), EINVAL, "discard");
  CHECK_FAILS(cow_arena_rollback(arena, of_other), EINVAL, "to a snapshot of another one");
  CHECK_FAILS(cow_arena_changed_since(arena, of_other, &ranges, &count), EINVAL, "another arena");
  CHECK_FAILS(cow_arena_changed_since(arena, snapshot, NULL, &count), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_changed_since(arena, snapshot, &ranges, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_snapshot(arena, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_snapshot_read(snapshot, 4 * cow_page_size(), &number, 1), EINVAL, "reading");
  CHECK_FAILS(cow_snapshot_read(snapshot, (size_t)-1, &number, 2), EINVAL, "reading");
  CHECK_FAILS(cow_snapshot_read(snapshot, 0, NULL, 1), EINVAL, "NULL");
  CHECK_FAILS(cow_snapshot_exclusive_bytes(snapshot, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_stats_json(arena, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_memory(arena, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_arena_set_cut_hook(arena, NULL), EINVAL, "NULL");
  cow_snapshot_release(of_other);
  cow_snapshot_release(snapshot);
  cow_arena_close(other);
  cow_arena_close(arena);
}

/* The library takes no number below 3. UndefinedBehaviorSanitizer, which wants a pipe to look at an exception, may. */
TEST(what_the_kernel_refuses_comes_as_its_errno) {
  struct rlimit standard_streams = {3, 3}, was;
  cow_arena* arena = NO_HANDLE(cow_arena);
  const int input = dup(0), output = dup(1);
  int error;
  CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0 && input > 2 && output > 2);
  standard_streams.rlim_max = was.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &standard_streams) == 0);
  close(0);
  close(1);
  error = cow_arena_open(NULL, &arena);
  CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0 && dup2(input, 0) == 0 && dup2(output, 1) == 1);
  close(input);
  close(output);
  CHECK_FAILS(error, EMFILE, "Too many open files");
  CHECK(arena == NULL);
  CHECK(cow_arena_open(NULL, &arena) == 0);
  cow_arena_close(arena);
}

TEST(in_a_fork_child_the_parents_arena_is_not_permitted) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  int status = 1;
  pid_t child;
  bytes_of(arena)[0] = 5;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  child = fork();
  if (child == 0) {
    cow_snapshot* another;
    cow_heap* heap;
    cow_arena* own;
    int right = bytes_of(arena)[0] == 5;
    right = right && cow_arena_snapshot(arena, &another) == -EPERM && strstr(cow_last_error(), "fork") != NULL;
    right = right && cow_arena_name(arena) == NULL && strstr(cow_last_error(), "cow_arena_name") != NULL;
    right = right && cow_arena_epoch(arena) == 0 && cow_arena_data(arena) == bytes_of(arena);
    right = right && cow_arena_rollback(arena, snapshot) == -EPERM && cow_heap_open(arena, NULL, &heap) == -EPERM;
    own = arena_of(4);
    right = right && own != NULL && cow_arena_snapshot(own, &another) == 0;
    cow_snapshot_release(another);
    cow_arena_close(own);
    cow_snapshot_release(snapshot);
    cow_arena_close(arena);
    _exit(right ? 0 : 1);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  bytes_of(arena)[0] = 6;
  CHECK(cow_arena_rollback(arena, snapshot) == 0 && bytes_of(arena)[0] == 5);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

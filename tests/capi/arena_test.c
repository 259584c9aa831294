/* Promise: from C an arena does all that it does in C++. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "capi/check.h"

TEST(the_header_and_the_library_are_of_the_projects_version) {
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", COW_VERSION_MAJOR, COW_VERSION_MINOR, COW_VERSION_PATCH);
  CHECK(strcmp(text, PROJECT_VERSION) == 0);
  CHECK(strcmp(cow_version(), PROJECT_VERSION) == 0);
  CHECK(cow_version_number() == COW_VERSION_MAJOR * 10000 + COW_VERSION_MINOR * 100 + COW_VERSION_PATCH);
}

TEST(numbers_that_programs_are_compiled_with_stay) {
  CHECK(COW_BARRIER_MPROTECT == 0 && COW_BARRIER_USERFAULTFD == 1 && COW_BARRIER_AUTOMATIC == 2);
  CHECK(COW_BARRIER_KERNEL == 3);
  CHECK(COW_REPORT_STATS == 0 && COW_REPORT_DUMP == 1 && COW_REPORT_PAGES == 2);
  CHECK(COW_REPORT_PAGES_SVG == 3 && COW_REPORT_MEMORY == 4);
  CHECK(COW_PROFILE_TABLE == 0 && COW_PROFILE_FOLDED == 1 && COW_PROFILE_SVG == 2);
  CHECK(offsetof(cow_arena_options, reserve_history_bytes) == 48 && offsetof(cow_arena_options, gate) == 56);
  CHECK(offsetof(cow_page_map, runs) == 48 && sizeof(cow_page_group) == 40 && sizeof(cow_page_run) == 24);
  CHECK(offsetof(cow_fault_profile, stacks) == 40 && sizeof(cow_profiled_stack) == 56 && sizeof(cow_code_place) == 40);
  CHECK(COW_PAGE_BORROWED == 3 && COW_WEIGHT_NANOSECONDS == 2 && COW_REFUSE_ALL_THREADS == 1);
  CHECK(sizeof(cow_write) == 24 && sizeof(cow_page_range) == 16 && sizeof(cow_cut_hook) == 40);
  CHECK(offsetof(cow_heap_stats, refused_frees) == 48 && offsetof(cow_memory_account, kernel_bytes) == 64);
  CHECK(sizeof(cow_heap_options) == 16);
}

TEST(an_arena_is_as_its_options_say) {
  cow_arena_options options;
  cow_arena* arena = arena_of(4);
  void* const free_address = cow_arena_data(arena);
  cow_arena_close(arena);
  cow_arena_options_init(&options);
  CHECK(options.size == sizeof options && options.capacity == (size_t)1 << 30);
  options.capacity = 3 * cow_page_size() - 1;
  options.name = "as asked";
  options.address = free_address;
  options.barrier = COW_BARRIER_AUTOMATIC;
  options.single_writer = 1;
  options.in_core_dumps = 0;
  options.reserve_history_bytes = cow_page_size();
  CHECK(cow_arena_open(&options, &arena) == 0);
  CHECK(cow_arena_capacity(arena) == 3 * cow_page_size());
  CHECK(strcmp(cow_arena_name(arena), "as asked") == 0);
  CHECK(cow_arena_data(arena) == options.address);
  CHECK(cow_arena_barrier(arena) != COW_BARRIER_AUTOMATIC);
  CHECK(cow_arena_contains(arena, bytes_of(arena)) == 1);
  CHECK(cow_arena_contains(arena, bytes_of(arena) + 3 * cow_page_size()) == 0);
  cow_arena_close(arena);
}

TEST(no_options_are_the_usual_ones) {
  cow_arena* arena;
  CHECK(cow_arena_open(NULL, &arena) == 0);
  CHECK(cow_arena_capacity(arena) == (size_t)1 << 30);
  CHECK(cow_arena_barrier(arena) == COW_BARRIER_MPROTECT);
  cow_arena_close(arena);
}

TEST(a_rollback_brings_the_snapshot_back) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  bytes_of(arena)[7] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  bytes_of(arena)[7] = 2;
  CHECK(cow_arena_rollback(arena, snapshot) == 0);
  CHECK(bytes_of(arena)[7] == 1);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(a_clone_goes_its_own_way_and_outlives_its_origin) {
  cow_arena* arena = arena_of(4);
  cow_arena *clone, *of_snapshot;
  cow_snapshot* snapshot;
  bytes_of(arena)[7] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_clone(arena, &clone) == 0);
  bytes_of(clone)[7] = 2;
  CHECK(bytes_of(arena)[7] == 1);
  cow_arena_close(arena);
  CHECK(bytes_of(clone)[7] == 2);
  CHECK(cow_snapshot_clone(snapshot, &of_snapshot) == 0);
  CHECK(bytes_of(of_snapshot)[7] == 1);
  cow_snapshot_release(snapshot);
  bytes_of(of_snapshot)[7] = 3;
  CHECK(bytes_of(clone)[7] == 2);
  cow_arena_close(of_snapshot);
  cow_arena_close(clone);
}

TEST(a_view_shows_the_old_and_outlives_snapshot_and_arena) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  cow_view* view;
  bytes_of(arena)[7] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  bytes_of(arena)[7] = 2;
  CHECK(cow_snapshot_view(snapshot, &view) == 0);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
  CHECK(cow_view_size(view) == 4 * cow_page_size());
  CHECK(((const unsigned char*)cow_view_data(view))[7] == 1);
  cow_view_close(view);
}

TEST(a_snapshot_is_read_without_a_mapping) {
  cow_arena* arena = arena_of(4);
  cow_snapshot *snapshot, *another, *unwritten;
  unsigned char bytes[3] = {9, 9, 9};
  size_t exclusive = 1;
  bytes_of(arena)[7] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_snapshot(arena, &unwritten) == 0);
  CHECK(cow_snapshot_same(snapshot, unwritten) == 1);
  CHECK(cow_snapshot_exclusive_bytes(snapshot, &exclusive) == 0 && exclusive == 0);
  bytes_of(arena)[7] = 2;
  CHECK(cow_snapshot_exclusive_bytes(snapshot, &exclusive) == 0 && exclusive >= cow_page_size());
  CHECK(cow_snapshot_retain(snapshot, &another) == 0);
  CHECK(another != snapshot && cow_snapshot_same(snapshot, another) == 1);
  cow_snapshot_release(snapshot);
  cow_snapshot_release(unwritten);
  CHECK(cow_snapshot_capacity(another) == 4 * cow_page_size());
  CHECK(cow_snapshot_read(another, 6, bytes, 3) == 0);
  CHECK(bytes[0] == 0 && bytes[1] == 1 && bytes[2] == 0);
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_snapshot_same(snapshot, another) == 0);
  cow_snapshot_release(snapshot);
  cow_snapshot_release(another);
  cow_arena_close(arena);
}

TEST(a_batch_of_writes_is_in_a_snapshot_and_takes_no_fault) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  char *before, *after;
  cow_write writes[2];
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_write(arena, bytes_of(arena) + 10, "one", 3) == 0);
  writes[0].to = bytes_of(arena) + 20;
  writes[0].from = "two";
  writes[0].bytes = 3;
  writes[1].to = bytes_of(arena) + 2 * cow_page_size();
  writes[1].from = "three";
  writes[1].bytes = 5;
  CHECK(cow_arena_stats_json(arena, &before) == 0);
  CHECK(cow_arena_write_batch(arena, writes, 2) == 0);
  CHECK(cow_arena_stats_json(arena, &after) == 0);
  CHECK(strstr(after, "\"faults_first_touch\":0") != NULL);
  CHECK(memcmp(bytes_of(arena) + 10, "one\0\0\0\0\0\0\0two", 13) == 0);
  CHECK(memcmp(bytes_of(arena) + 2 * cow_page_size(), "three", 5) == 0);
  CHECK(cow_arena_write(arena, NULL, NULL, 0) == 0);
  CHECK(cow_arena_write_batch(arena, NULL, 0) == 0);
  cow_free(before);
  cow_free(after);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(what_changed_since_is_told_in_pages) {
  cow_arena* arena = arena_of(64);
  cow_snapshot* snapshot;
  cow_page_range* ranges = NULL;
  size_t count = 1, i, found = 0;
  memset(bytes_of(arena), 1, 64 * cow_page_size());
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_changed_since(arena, snapshot, &ranges, &count) == 0);
  CHECK(ranges == NULL && count == 0);
  bytes_of(arena)[40 * cow_page_size()] = 2;
  CHECK(cow_arena_changed_since(arena, snapshot, &ranges, &count) == 0);
  for (i = 0; i < count; ++i) found |= ranges[i].first <= 40 && 40 < ranges[i].first + ranges[i].count;
  CHECK(found == 1);
  cow_free(ranges);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(memory_that_is_discarded_reads_as_zero) {
  cow_arena* arena = arena_of(4);
  uint64_t epoch;
  cow_snapshot* snapshot;
  memset(bytes_of(arena), 1, 4 * cow_page_size());
  CHECK(cow_arena_discard(arena, bytes_of(arena) + 1, 2 * cow_page_size()) == 0);
  CHECK(all_are(bytes_of(arena), cow_page_size(), 1));
  CHECK(all_are(bytes_of(arena) + cow_page_size(), cow_page_size(), 0));
  epoch = cow_arena_epoch(arena);
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_epoch(arena) > epoch);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

struct read_call {
  int from;
  void* to;
  int calls;
  cow_arena* arena;
};
static int64_t read_after_a_snapshot(void* context) {
  struct read_call* call = (struct read_call*)context;
  if (call->calls++ == 0) {
    cow_snapshot* snapshot;
    if (cow_arena_snapshot(call->arena, &snapshot) == 0) cow_snapshot_release(snapshot);
  }
  return read(call->from, call->to, 5);
}

TEST(a_system_call_into_a_protected_page_is_repeated) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  struct read_call call;
  int64_t result = 0;
  int ends[2];
  memset(bytes_of(arena), 1, cow_page_size());
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_is_writable(arena, bytes_of(arena), 100) == 0);
  CHECK(cow_arena_prepare_write(arena, bytes_of(arena), 100) == 0);
  CHECK(cow_arena_is_writable(arena, bytes_of(arena), 100) == 1);
  cow_snapshot_release(snapshot);
  CHECK(pipe(ends) == 0 && write(ends[1], "hello", 5) == 5);
  call.from = ends[0];
  call.to = bytes_of(arena);
  call.calls = 0;
  call.arena = arena;
  CHECK(cow_arena_retry_on_efault(arena, bytes_of(arena), 5, read_after_a_snapshot, &call, &result) == 0);
  CHECK(result == 5 && memcmp(bytes_of(arena), "hello", 5) == 0);
  close(ends[1]);
  close(ends[0]);
  errno = 0;
  CHECK(cow_arena_retry_on_efault(arena, bytes_of(arena), 5, read_after_a_snapshot, &call, &result) == 0);
  CHECK(result == -1 && errno == EBADF);
  cow_arena_close(arena);
}

static int before, after;
static void count_before(void* context) { before += *(int*)context; }
static void count_after(void* context) { after += *(int*)context; }

TEST(a_cut_hook_is_called_around_each_cut) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  cow_heap* heap;
  int by = 1;
  cow_cut_hook hook;
  memset(&hook, 0, sizeof hook);
  hook.size = sizeof hook;
  hook.before = count_before;
  hook.after = count_after;
  hook.context = &by;
  CHECK(cow_arena_set_cut_hook(arena, &hook) == 0);
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_arena_rollback(arena, snapshot) == 0);
  CHECK(before == 2 && after == 2);
  CHECK_FAILS(cow_arena_set_cut_hook(arena, &hook), EBUSY, "has a cut hook");
  CHECK_FAILS(cow_heap_open(arena, NULL, &heap), EBUSY, "another allocator");
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(whether_a_barrier_can_be_had_is_told) {
  CHECK(cow_barrier_available(COW_BARRIER_MPROTECT) == 1);
  CHECK(cow_barrier_available(COW_BARRIER_AUTOMATIC) == 1);
  CHECK(cow_barrier_available(COW_BARRIER_USERFAULTFD) >= 0);
  CHECK(cow_barrier_available(COW_BARRIER_KERNEL) >= 0);
  CHECK_FAILS(cow_barrier_available(-1), EINVAL, "no such barrier");
  CHECK_FAILS(cow_barrier_available(1000), EINVAL, "no such barrier");
}

TEST(the_fault_handler_is_there) {
  cow_arena* arena = arena_of(1);
  CHECK(cow_fault_handler_installed() == 1);
  CHECK(cow_install_fault_handler() == 0);
  CHECK(cow_try_handle(11, NULL, NULL) == 0);
  CHECK(cow_print_backtraces_of_bad_accesses(0) == 0 || strstr(cow_last_error(), "libunwind") != NULL);
  cow_arena_close(arena);
}

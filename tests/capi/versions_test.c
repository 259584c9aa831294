/* Promise: from C versions are compared, adopted and merged as from C++; transactions take back what is not kept. */
#include "capi/check.h"

struct seen {
  int calls;
  size_t offset, bytes;
  unsigned char before, after;
};
static int remember(void* context, size_t offset, const void* before, const void* after, size_t bytes) {
  struct seen* seen = (struct seen*)context;
  ++seen->calls;
  seen->offset = offset;
  seen->bytes = bytes;
  seen->before = *(const unsigned char*)before;
  seen->after = *(const unsigned char*)after;
  return seen->calls == 3 ? 42 : 0;
}

TEST(differences_of_two_versions_are_told) {
  cow_arena* arena = arena_of(16);
  cow_snapshot *first, *second;
  cow_page_range* ranges = NULL;
  struct seen seen = {0, 0, 0, 0, 0};
  size_t count = 0;
  memset(bytes_of(arena), 1, 16 * cow_page_size());
  CHECK(cow_arena_snapshot(arena, &first) == 0);
  bytes_of(arena)[10] = 2;
  CHECK(cow_arena_snapshot(arena, &second) == 0);
  CHECK(cow_changed_between(first, second, &ranges, &count) == 0 && count == 1 && ranges[0].first == 0);
  cow_free(ranges);
  CHECK(cow_changed_between(first, first, &ranges, &count) == 0 && count == 0 && ranges == NULL);
  CHECK(cow_for_each_difference(first, second, 4, remember, &seen) == 0);
  CHECK(seen.calls == 1 && seen.offset == 8 && seen.bytes == 4);
  CHECK(cow_for_each_difference(first, second, 1, remember, &seen) == 0);
  CHECK(seen.calls == 2 && seen.offset == 10 && seen.bytes == 1 && seen.before == 1 && seen.after == 2);
  CHECK(cow_for_each_difference(second, first, 1, remember, &seen) == 42);
  CHECK_FAILS(cow_for_each_difference(first, second, 3, remember, &seen), EINVAL, "cow_for_each_difference");
  CHECK_FAILS(cow_for_each_difference(first, second, 1, NULL, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_for_each_difference(first, NULL, 1, remember, &seen), EINVAL, "snapshot is NULL");
  CHECK_FAILS(cow_changed_between(NULL, first, &ranges, &count), EINVAL, "snapshot is NULL");
  CHECK_FAILS(cow_changed_between(first, second, NULL, &count), EINVAL, "NULL");
  cow_snapshot_release(second);
  cow_snapshot_release(first);
  cow_arena_close(arena);
}

TEST(what_a_clone_did_is_adopted) {
  cow_arena *arena = arena_of(16), *clone, *stranger = arena_of(16);
  cow_snapshot *of_clone, *strange;
  bytes_of(arena)[0] = 1;
  CHECK(cow_arena_clone(arena, &clone) == 0);
  bytes_of(clone)[1] = 2;
  CHECK(cow_arena_snapshot(clone, &of_clone) == 0);
  CHECK(cow_arena_adopt(arena, of_clone) == 0);
  CHECK(bytes_of(arena)[0] == 1 && bytes_of(arena)[1] == 2);
  CHECK(cow_arena_snapshot(stranger, &strange) == 0);
  CHECK_FAILS(cow_arena_adopt(arena, strange), EINVAL, "family");
  CHECK_FAILS(cow_arena_adopt(NULL, of_clone), EINVAL, "arena is NULL");
  CHECK_FAILS(cow_arena_adopt(arena, NULL), EINVAL, "snapshot is NULL");
  cow_snapshot_release(strange);
  cow_snapshot_release(of_clone);
  cow_arena_close(stranger);
  cow_arena_close(clone);
  cow_arena_close(arena);
}

TEST(what_two_sides_changed_is_merged) {
  cow_arena *arena = arena_of(16), *clone;
  cow_snapshot *base, *theirs;
  cow_merge_options options;
  cow_merge_report report;
  cow_merge_region counters = {64, 8, COW_MERGE_SUM_I64, 0};
  uint64_t* ours = (uint64_t*)cow_arena_data(arena);
  uint64_t* others;
  ours[0] = 1, ours[1] = 1, ours[8] = 10;
  CHECK(cow_arena_snapshot(arena, &base) == 0 && cow_snapshot_clone(base, &clone) == 0);
  others = (uint64_t*)cow_arena_data(clone);
  ours[0] = 2, ours[2] = 5, ours[8] += 1;
  others[1] = 3, others[2] = 6, others[8] += 2;
  CHECK(cow_arena_snapshot(clone, &theirs) == 0);

  cow_merge_options_init(NULL);
  cow_merge_options_init(&options);
  CHECK(options.size == sizeof options && options.granule == 8);
  options.regions = &counters;
  options.region_count = 1;
  report.size = sizeof report;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), ECANCELED, "conflicts");
  CHECK(report.size == sizeof report && report.conflict_count == 1 && report.bytes_changed == 0);
  CHECK(report.conflicts[0].offset == 16 && report.conflicts[0].bytes == 8);
  CHECK(ours[1] == 1 && ours[2] == 5 && ours[8] == 11);
  cow_free(report.conflicts);
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, NULL, NULL), ECANCELED, "conflicts");

  options.on_conflict = COW_CONFLICT_TAKE_THEIRS;
  CHECK(cow_arena_merge(arena, base, theirs, &options, &report) == 0);
  CHECK(ours[0] == 2 && ours[1] == 3 && ours[2] == 6 && ours[8] == 13);
  CHECK(report.pages_merged == 1 && report.conflict_count == 1);
  cow_free(report.conflicts);

  options.on_conflict = 9;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), EINVAL, "no such way");
  options.on_conflict = COW_CONFLICT_REFUSE;
  options.granule = 3;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), EINVAL, "granule");
  options.granule = 8;
  counters.rule = 99;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), EINVAL, "no such rule");
  counters.rule = 0;
  counters.reserved = 1;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), E2BIG, "reserved");
  options.regions = NULL;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), EINVAL, "NULL");
  options.reserved = 1;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, &options, &report), E2BIG, "reserved");
  report.size = 8;
  CHECK_FAILS(cow_arena_merge(arena, base, theirs, NULL, &report), EINVAL, "too small");
  CHECK_FAILS(cow_arena_merge(NULL, base, theirs, NULL, NULL), EINVAL, "arena is NULL");
  CHECK_FAILS(cow_arena_merge(arena, NULL, theirs, NULL, NULL), EINVAL, "snapshot is NULL");
  CHECK_FAILS(cow_arena_merge(arena, base, NULL, NULL, NULL), EINVAL, "snapshot is NULL");
  cow_snapshot_release(theirs);
  cow_snapshot_release(base);
  cow_arena_close(clone);
  cow_arena_close(arena);
}

TEST(a_transaction_ends_with_its_arena) {
  cow_arena *arena = arena_of(4), *next;
  cow_transaction *outer, *inner, *left, *of_next[3];
  int i;
  bytes_of(arena)[0] = 9;
  CHECK(cow_transaction_begin(arena, &outer) == 0 && cow_transaction_begin(arena, &inner) == 0);
  CHECK(cow_transaction_begin(arena, &left) == 0);
  bytes_of(arena)[0] = 8;
  cow_arena_close(arena);
  next = arena_of(4); /* at the same address, most likely */
  for (i = 0; i < 3; ++i) CHECK(cow_transaction_begin(next, &of_next[i]) == 0);
  bytes_of(next)[0] = 1;
  CHECK_FAILS(cow_transaction_commit(outer), EINVAL, "the transaction's arena was closed");
  CHECK_FAILS(cow_transaction_roll_back(inner), EINVAL, "the transaction's arena was closed");
  cow_transaction_close(outer);
  cow_transaction_close(inner);
  cow_transaction_close(left);
  CHECK_FAILS(cow_transaction_commit(outer), EINVAL, "the transaction was closed");
  CHECK(bytes_of(next)[0] == 1);
  for (i = 2; i >= 0; --i) CHECK(cow_transaction_commit(of_next[i]) == 0);
  CHECK(bytes_of(next)[0] == 1);
  cow_arena_close(next);
}

static int close_both(void* context, size_t offset, const void* before, const void* after, size_t bytes) {
  cow_snapshot** const snapshots = (cow_snapshot**)context;
  cow_snapshot_release(snapshots[0]);
  cow_snapshot_release(snapshots[1]);
  return memcmp(before, after, bytes) == 0 || offset != 0 ? 1 : 0;
}

TEST(a_callback_may_close_what_is_compared) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshots[2];
  CHECK(cow_arena_snapshot(arena, &snapshots[0]) == 0);
  bytes_of(arena)[0] = 1;
  CHECK(cow_arena_snapshot(arena, &snapshots[1]) == 0);
  CHECK(cow_for_each_difference(snapshots[0], snapshots[1], 1, close_both, snapshots) == 0);
  CHECK_FAILS(cow_for_each_difference(snapshots[0], snapshots[1], 1, close_both, snapshots), EINVAL, "was closed");
  cow_arena_close(arena);
}

TEST(what_closes_leaves_errno_alone) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  cow_view* view;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0 && cow_snapshot_view(snapshot, &view) == 0);
  errno = EXFULL;
  cow_arena_close(arena);
  cow_snapshot_release(snapshot);
  cow_view_close(view);
  cow_view_close(view);
  cow_free(NULL);
  CHECK(errno == EXFULL);
}

TEST(a_transaction_that_is_not_committed_is_taken_back) {
  cow_arena* arena = arena_of(4);
  cow_transaction *outer, *inner;
  cow_snapshot* snapshot;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_transaction_begin(arena, &outer) == 0);
  bytes_of(arena)[0] = 1;
  CHECK_FAILS(cow_arena_rollback(arena, snapshot), EPERM, "ransaction");
  CHECK(cow_transaction_begin(arena, &inner) == 0);
  bytes_of(arena)[1] = 2;
  CHECK_FAILS(cow_transaction_roll_back(outer), EPERM, "cow_transaction_roll_back");
  CHECK_FAILS(cow_transaction_commit(outer), EPERM, "while one inside it is open");
  CHECK(cow_transaction_roll_back(inner) == 0);
  CHECK(bytes_of(arena)[0] == 1 && bytes_of(arena)[1] == 0);
  CHECK_FAILS(cow_transaction_roll_back(inner), EINVAL, "was closed");
  CHECK_FAILS(cow_transaction_commit(inner), EINVAL, "was closed");
  CHECK(cow_transaction_commit(outer) == 0 && bytes_of(arena)[0] == 1);
  CHECK(cow_transaction_begin(arena, &outer) == 0);
  bytes_of(arena)[0] = 3;
  cow_transaction_close(outer);
  cow_transaction_close(outer);
  cow_transaction_close(NULL);
  CHECK(bytes_of(arena)[0] == 1);
  CHECK_FAILS(cow_transaction_begin(NULL, &outer), EINVAL, "arena is NULL");
  CHECK(outer == NULL);
  CHECK_FAILS(cow_transaction_begin(arena, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_transaction_commit(NULL), EINVAL, "transaction is NULL");
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

/* Promise: with a gate, snapshots fall between two updates; a clone has the same places; a store to the original from
 * where it is a mistake is deadly. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capi/check.h"

/* Two numbers that an update changes together, in pages of their own. */
static struct {
  cow_gate* gate;
  volatile uint64_t *one, *other;
  atomic_int stop;
  atomic_int wrong;
} updates;

static void* update(void* nothing) {
  updates.wrong += cow_gate_begin_updating(updates.gate) != 0;
  while (!updates.stop) {
    ++*updates.one;
    ++*updates.other;
    updates.wrong += cow_gate_between_updates(updates.gate) != 0;
  }
  updates.wrong += cow_gate_end_updating(updates.gate) != 0;
  return nothing;
}

/* How many of some snapshots show half an update. */
static int halves_in_snapshots(cow_arena* arena, int own_quiet) {
  int halves = 0, i;
  for (i = 0; i < 200; ++i) {
    cow_snapshot* snapshot;
    uint64_t one = 0, other = 1;
    if (own_quiet) updates.wrong += cow_gate_begin_quiet(updates.gate) != 0;
    updates.wrong += cow_arena_snapshot(arena, &snapshot) != 0;
    if (own_quiet) updates.wrong += cow_gate_end_quiet(updates.gate) != 0;
    updates.wrong += cow_snapshot_read(snapshot, 0, &one, sizeof one) != 0;
    updates.wrong += cow_snapshot_read(snapshot, cow_page_size(), &other, sizeof other) != 0;
    halves += one != other;
    cow_snapshot_release(snapshot);
  }
  return halves;
}

static int halves_beside_an_updater(cow_arena* arena, int own_quiet) {
  pthread_t updater;
  int halves;
  updates.one = (volatile uint64_t*)cow_arena_data(arena);
  updates.other = (volatile uint64_t*)(void*)(bytes_of(arena) + cow_page_size());
  updates.stop = 0;
  if (pthread_create(&updater, NULL, update, NULL) != 0) return -1;
  halves = halves_in_snapshots(arena, own_quiet);
  updates.stop = 1;
  pthread_join(updater, NULL);
  return halves + updates.wrong;
}

TEST(a_gate_keeps_updates_out_of_snapshots) {
  cow_arena_options options;
  cow_arena *without = arena_of(4), *with = NULL;
  updates.wrong = 0;
  CHECK(cow_gate_open(&updates.gate) == 0);
  cow_arena_options_init(&options);
  options.capacity = 4 * cow_page_size();
  options.gate = updates.gate;
  CHECK(cow_arena_open(&options, &with) == 0);
  CHECK(halves_beside_an_updater(without, 1) == 0);
  CHECK(halves_beside_an_updater(with, 0) == 0);
  cow_arena_close(without);
  cow_arena_close(with);
  cow_gate_close(updates.gate);
}

static atomic_int inside, over;

static void* update_for_a_while(void* gate) {
  updates.wrong += cow_gate_begin_updating(gate) != 0;
  inside = 1;
  usleep(50000);
  over = 1;
  updates.wrong += cow_gate_end_updating(gate) != 0;
  return NULL;
}

/* Whether a snapshot of the arena waits for an update that is under way. */
static int snapshot_waits_for_an_update(cow_arena* arena, cow_gate* gate) {
  pthread_t updater;
  cow_snapshot* snapshot = NULL;
  int waited;
  if (pthread_create(&updater, NULL, update_for_a_while, gate) != 0) return 0;
  while (!inside) usleep(100);
  updates.wrong += cow_arena_snapshot(arena, &snapshot) != 0;
  waited = over;
  cow_snapshot_release(snapshot);
  pthread_join(updater, NULL);
  return waited && !updates.wrong;
}

TEST(a_gate_keeps_updates_out_of_snapshots_of_what_was_loaded) {
  char path[] = "/tmp/cow-c-test-XXXXXX";
  cow_load_options options;
  cow_arena *saved = arena_of(4), *loaded = NULL;
  cow_snapshot* snapshot;
  updates.wrong = 0;
  CHECK(close(mkstemp(path)) == 0);
  CHECK(cow_arena_snapshot(saved, &snapshot) == 0 && cow_snapshot_save(snapshot, path, NULL) == 0);
  CHECK(cow_gate_open(&updates.gate) == 0);
  cow_load_options_init(&options);
  options.gate = updates.gate;
  CHECK(cow_arena_load(path, &options, &loaded) == 0);
  CHECK(snapshot_waits_for_an_update(loaded, options.gate));
  cow_arena_close(loaded);
  cow_gate_close(updates.gate);
  CHECK_FAILS(cow_arena_load(path, &options, &loaded), EINVAL, "the gate was closed");
  cow_snapshot_release(snapshot);
  cow_arena_close(saved);
  unlink(path);
}

static void* nothing_at_all(void* nothing) { return nothing; }

/* With a second thread, where only the promise lets Barrier::kernel be had. */
static int quiet_cuts_are_promised(const char* path, cow_load_options* options) {
  pthread_t other;
  cow_arena* loaded = NULL;
  int opened, barrier = -1;
  if (pthread_create(&other, NULL, nothing_at_all, NULL) != 0) return 0;
  options->barrier = COW_BARRIER_AUTOMATIC;
  options->quiet_cuts = 1;
  opened = cow_arena_load(path, options, &loaded);
  if (opened == 0) barrier = cow_arena_barrier(loaded);
  cow_arena_close(loaded);
  pthread_join(other, NULL);
  return barrier == COW_BARRIER_KERNEL;
}

TEST(quiet_cuts_can_be_promised_of_what_is_loaded) {
  char path[] = "/tmp/cow-c-test-XXXXXX";
  cow_load_options options;
  cow_arena* saved = arena_of(4);
  cow_snapshot* snapshot;
  if (cow_barrier_available(COW_BARRIER_KERNEL) != 1) {
    skip_test("no kernel barrier here");
    return;
  }
  CHECK(close(mkstemp(path)) == 0);
  CHECK(cow_arena_snapshot(saved, &snapshot) == 0 && cow_snapshot_save(snapshot, path, NULL) == 0);
  cow_load_options_init(&options);
  CHECK(quiet_cuts_are_promised(path, &options));
  cow_snapshot_release(snapshot);
  cow_arena_close(saved);
  unlink(path);
}

TEST(what_was_not_begun_at_a_gate_cannot_end) {
  cow_gate *gate = NO_HANDLE(cow_gate), *closed;
  cow_arena_options options;
  cow_arena* arena = NO_HANDLE(cow_arena);
  CHECK_FAILS(cow_gate_open(NULL), EINVAL, "NULL");
  CHECK(cow_gate_open(&gate) == 0 && cow_gate_open(&closed) == 0);
  CHECK_FAILS(cow_gate_end_updating(gate), EPERM, "cow_gate_end_updating: no update has begun");
  CHECK_FAILS(cow_gate_end_quiet(gate), EPERM, "nobody has quiet");
  CHECK(cow_gate_between_updates(gate) == 0);
  CHECK(cow_gate_begin_updating(gate) == 0 && cow_gate_end_updating(gate) == 0);
  CHECK_FAILS(cow_gate_end_updating(gate), EPERM, "no update has begun");
  CHECK(cow_gate_begin_quiet(gate) == 0 && cow_gate_end_quiet(gate) == 0);
  CHECK_FAILS(cow_gate_end_quiet(gate), EPERM, "nobody has quiet");
  CHECK(cow_gate_begin_quiet(gate) == 0 && cow_gate_end_quiet(gate) == 0);
  cow_gate_close(closed);
  cow_gate_close(closed);
  cow_gate_close(NULL);
  CHECK_FAILS(cow_gate_begin_updating(closed), EINVAL, "the gate was closed");
  CHECK_FAILS(cow_gate_between_updates(closed), EINVAL, "the gate was closed");
  CHECK_FAILS(cow_gate_end_updating(NULL), EINVAL, "the gate is NULL");
  CHECK_FAILS(cow_gate_begin_quiet(NULL), EINVAL, "the gate is NULL");
  CHECK_FAILS(cow_gate_end_quiet(closed), EINVAL, "the gate was closed");
  cow_arena_options_init(&options);
  options.gate = closed;
  CHECK_FAILS(cow_arena_open(&options, &arena), EINVAL, "the gate was closed");
  CHECK(arena == NULL);
  cow_gate_close(gate);
}

TEST(an_arena_outlives_its_gate_when_that_is_closed_too_early) {
  cow_arena_options options;
  cow_arena *arena = NULL, *clone = NULL;
  cow_snapshot* snapshot;
  cow_gate *gate, *next, *left_inside;
  cow_arena_options_init(&options);
  options.capacity = 4 * cow_page_size();
  CHECK(cow_gate_open(&gate) == 0);
  options.gate = gate;
  CHECK(cow_arena_open(&options, &arena) == 0);
  cow_gate_close(gate);
  CHECK(cow_gate_open(&next) == 0); /* of the same memory */
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0 && cow_arena_clone(arena, &clone) == 0);
  CHECK(cow_arena_rollback(arena, snapshot) == 0);
  CHECK(cow_gate_begin_updating(next) == 0 && cow_gate_end_updating(next) == 0);
  CHECK(cow_gate_open(&left_inside) == 0 && cow_gate_begin_quiet(left_inside) == 0);
  cow_gate_close(left_inside);
  CHECK(cow_gate_open(&gate) == 0); /* not that one, where it would wait for ever */
  CHECK(cow_gate_begin_updating(gate) == 0 && cow_gate_end_updating(gate) == 0);
  cow_gate_close(gate);
  cow_gate_close(next);
  cow_snapshot_release(snapshot);
  cow_arena_close(clone);
  cow_arena_close(arena);
}

TEST(a_clone_and_a_view_have_the_same_places) {
  cow_arena *arena = arena_of(4), *stranger = arena_of(4), *clone = NULL;
  cow_snapshot* snapshot;
  cow_view *view, *another;
  unsigned char *const at = bytes_of(arena) + 5000, *const end = bytes_of(arena) + cow_arena_capacity(arena);
  const unsigned char* there;
  *at = 7;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0 && cow_snapshot_clone(snapshot, &clone) == 0);
  CHECK(cow_snapshot_view(snapshot, &view) == 0 && cow_snapshot_view(snapshot, &another) == 0);
  CHECK(cow_arena_at(clone, arena, at, 1) == bytes_of(clone) + 5000);
  CHECK(cow_arena_at(arena, clone, bytes_of(clone) + 5000, 1) == at);
  there = (const unsigned char*)cow_view_at(view, clone, bytes_of(clone) + 5000, 1);
  CHECK(there == (const unsigned char*)cow_view_data(view) + 5000 && *there == 7);
  CHECK(cow_arena_at_of_view(clone, view, there, 1) == bytes_of(clone) + 5000);
  CHECK(cow_view_at_of_view(another, view, there, 1) == (const unsigned char*)cow_view_data(another) + 5000);
  CHECK(cow_view_contains(view, there) == 1 && cow_view_contains(view, at) == 0);
  CHECK(cow_view_contains(NULL, at) == -EINVAL);
  CHECK(cow_arena_at(clone, arena, NULL, 1) == NULL);
  CHECK(cow_arena_at(clone, arena, end - 1, 1) != NULL && cow_arena_at(clone, arena, end - 1, 2) == NULL);
  CHECK(strstr(cow_last_error(), "cow_arena_at: ") == cow_last_error());
  CHECK(strstr(cow_last_error(), "is not in") != NULL);
  CHECK(cow_arena_at(clone, arena, &there, 1) == NULL);
  CHECK(cow_view_at(view, stranger, bytes_of(stranger), 1) == NULL);
  CHECK(strstr(cow_last_error(), "families") != NULL);
  CHECK(cow_arena_at(NULL, arena, at, 1) == NULL && strstr(cow_last_error(), "the arena is NULL") != NULL);
  CHECK(cow_arena_at_of_view(clone, NULL, there, 1) == NULL && strstr(cow_last_error(), "the view is NULL") != NULL);
  cow_view_close(another);
  CHECK(cow_view_at_of_view(another, view, there, 1) == NULL && strstr(cow_last_error(), "was closed") != NULL);
  cow_view_close(view);
  cow_snapshot_release(snapshot);
  cow_arena_close(clone);
  cow_arena_close(stranger);
  cow_arena_close(arena);
}

/* How a child ends that stores to an arena whose writes are refused: 0, or its signal. */
static int end_of_a_store(int of_whom, int while_refused) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    cow_arena* arena = arena_of(4);
    cow_arena* clone = NULL;
    cow_write_refusal* refusal;
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    bytes_of(arena)[0] = 1;
    if (cow_arena_clone(arena, &clone) != 0 || cow_refuse_writes(arena, of_whom, &refusal) != 0) _exit(2);
    bytes_of(clone)[0] = 2; /* right */
    if (!while_refused) cow_write_refusal_close(refusal);
    close(2);
    bytes_of(arena)[0] = 2;
    _exit(0);
  }
  if (child == -1 || waitpid(child, &status, 0) != child) return -1;
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(a_refused_write_is_deadly) {
  cow_arena* arena = arena_of(1);
  cow_write_refusal* refusal = NO_HANDLE(cow_write_refusal);
  const int in_thread = end_of_a_store(COW_REFUSE_THIS_THREAD, 1), in_all = end_of_a_store(COW_REFUSE_ALL_THREADS, 1);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  CHECK(in_thread > 0 && in_thread != 2 && in_all > 0 && in_all != 2); /* they exit where a signal would kill */
#else
  CHECK(in_thread == 11 || in_thread == 7);
  CHECK(in_all == 11 || in_all == 7);
#endif
  CHECK(end_of_a_store(COW_REFUSE_THIS_THREAD, 0) == 0);
  CHECK_FAILS(cow_refuse_writes(NULL, COW_REFUSE_THIS_THREAD, &refusal), EINVAL, "the arena is NULL");
  CHECK(refusal == NULL);
  CHECK_FAILS(cow_refuse_writes(arena, 2, &refusal), EINVAL, "no such threads");
  CHECK_FAILS(cow_refuse_writes(arena, COW_REFUSE_ALL_THREADS, NULL), EINVAL, "NULL");
  CHECK(cow_refuse_writes(arena, COW_REFUSE_ALL_THREADS, &refusal) == 0);
  cow_arena_close(arena);
  cow_write_refusal_close(refusal);
  cow_write_refusal_close(refusal);
  cow_write_refusal_close(NULL);
}

/* What waits for itself has its signals blocked: a thread is there for the alarm. */
static void* wait_for_ever(void* nothing) {
  for (;;) pause();
  return nothing;
}

static int all_that_cuts_is_refused(cow_arena* arena, cow_snapshot* before, cow_transaction* open) {
  cow_snapshot* snapshot = before;
  cow_arena* clone = arena;
  cow_transaction* transaction;
  cow_write_refusal* refusal;
  int wrong = 0;
  wrong += cow_arena_snapshot(arena, &snapshot) != -EDEADLK || snapshot != NULL;
  wrong += strstr(cow_last_error(), "cow_gate_end_") == NULL;
  wrong += cow_arena_clone(arena, &clone) != -EDEADLK || clone != NULL;
  wrong += cow_arena_rollback(arena, before) != -EDEADLK;
  wrong += cow_arena_adopt(arena, before) != -EDEADLK;
  wrong += cow_arena_merge(arena, before, before, NULL, NULL) != -EDEADLK;
  wrong += cow_arena_exclude(arena, cow_arena_data(arena), cow_page_size()) != -EDEADLK;
  wrong += cow_transaction_begin(arena, &transaction) != -EDEADLK;
  wrong += cow_refuse_writes(arena, COW_REFUSE_THIS_THREAD, &refusal) != -EDEADLK;
  wrong += cow_transaction_roll_back(open) != -EDEADLK;
  return wrong == 0;
}

TEST(a_thread_inside_a_gate_is_told_where_it_would_wait_for_itself) {
  cow_arena_options options;
  cow_arena* arena;
  cow_gate* gate;
  cow_snapshot* before;
  cow_transaction* open;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0 && pthread_detach(thread) == 0);
  alarm(20);
  CHECK(cow_gate_open(&gate) == 0);
  cow_arena_options_init(&options);
  options.capacity = 16 * cow_page_size();
  options.gate = gate;
  CHECK(cow_arena_open(&options, &arena) == 0 && cow_arena_snapshot(arena, &before) == 0);
  CHECK(cow_transaction_begin(arena, &open) == 0);
  CHECK(cow_gate_begin_updating(gate) == 0);
  CHECK_FAILS(cow_gate_begin_quiet(gate), EDEADLK, "cow_gate_end_updating() first");
  CHECK(all_that_cuts_is_refused(arena, before, open));
  CHECK(cow_gate_between_updates(gate) == 0 && cow_gate_end_updating(gate) == 0);
  CHECK(cow_gate_begin_quiet(gate) == 0);
  CHECK_FAILS(cow_gate_begin_quiet(gate), EDEADLK, "has quiet already");
  CHECK_FAILS(cow_gate_begin_updating(gate), EDEADLK, "cow_gate_end_quiet() first");
  CHECK(all_that_cuts_is_refused(arena, before, open));
  CHECK(cow_gate_end_quiet(gate) == 0);
  CHECK(cow_transaction_roll_back(open) == 0);
  cow_snapshot_release(before);
  CHECK(cow_arena_snapshot(arena, &before) == 0);
  cow_snapshot_release(before);
  cow_arena_close(arena);
  cow_gate_close(gate);
  alarm(0);
}

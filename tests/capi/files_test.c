/* Promise: from C snapshots are saved and loaded as from C++, and what goes wrong is an errno. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "capi/check.h"

/* A folder of this test's own, and names in it. */
static char folder[64];
static const char* in_folder(const char* name) {
  static char paths[8][128];
  static int next;
  char* const path = paths[next++ % 8];
  if (folder[0] == '\0') {
    strcpy(folder, "/tmp/cow-c-test-XXXXXX");
    if (mkdtemp(folder) == NULL) perror(folder);
  }
  snprintf(path, 128, "%s/%s", folder, name);
  return path;
}
static void remove_folder(void) {
  static const char* const names[] = {"whole", "layer", "squashed"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; ++i) unlink(in_folder(names[i]));
  rmdir(folder);
  folder[0] = '\0';
}

static int count_calls(void* context, uint64_t done, uint64_t total) {
  if (done > total) return 1;
  ++*(int*)context;
  return 0;
}
static int stop(void* context, uint64_t done, uint64_t total) {
  (void)context, (void)done, (void)total;
  return 1;
}

static int byte_in_file(const char* path, const cow_load_options* options, size_t at) {
  cow_arena* loaded;
  int byte;
  if (cow_arena_load(path, options, &loaded) != 0) return -1;
  byte = bytes_of(loaded)[at];
  cow_arena_close(loaded);
  return byte;
}

TEST(a_snapshot_is_saved_and_loaded_again_whole_and_in_layers) {
  const char *whole = in_folder("whole"), *layer = in_folder("layer"), *squashed = in_folder("squashed"), *both[2];
  cow_arena* arena = arena_of(64);
  cow_snapshot *first, *second;
  cow_save_options save;
  cow_save_report report = {0, 0, 0};
  cow_load_options load;
  cow_saved_file told;
  char *name, *note;
  int calls = 0;
  memset(bytes_of(arena), 1, 10 * cow_page_size());
  CHECK(cow_arena_snapshot(arena, &first) == 0);
  cow_save_options_init(&save);
  CHECK(save.size == sizeof save && save.sync == 1 && save.level == 1);
  save.note = "of a test";
  save.progress = count_calls;
  save.context = &calls;
  save.report = &report;
  CHECK(cow_snapshot_save(first, whole, &save) == 0);
  CHECK(report.pages == 10 && report.bytes > 10 * cow_page_size() && calls > 0);
  bytes_of(arena)[3] = 2;
  CHECK(cow_arena_snapshot(arena, &second) == 0);
  save.since = first;
  save.base = whole;
  CHECK(cow_snapshot_save(second, layer, &save) == 0 && report.pages == 1);

  told.size = sizeof told;
  CHECK(cow_saved_file_inspect(layer, &told) == 0 && told.is_layer == 1 && told.pages == 1);
  CHECK(told.capacity == 64 * cow_page_size() && told.address == (uintptr_t)bytes_of(arena));
  CHECK(cow_saved_file_texts(whole, &name, &note) == 0);
  CHECK(strcmp(name, "of a C test") == 0 && strcmp(note, "of a test") == 0);
  cow_free(name);
  cow_free(note);
  CHECK(cow_saved_file_verify(whole) == 0 && cow_saved_file_verify(layer) == 0);

  both[0] = whole;
  both[1] = layer;
  CHECK(cow_saved_files_squash(both, 2, squashed, NULL) == 0);
  CHECK(byte_in_file(whole, NULL, 3) == 1 && byte_in_file(squashed, NULL, 3) == 2);
  cow_load_options_init(&load);
  CHECK(load.size == sizeof load && load.lazy == 1);
  load.layers = &both[1];
  load.layer_count = 1;
  CHECK(byte_in_file(whole, &load, 3) == 2 && byte_in_file(whole, &load, 4) == 1);
  load.lazy = 0;
  load.at_saved_address = 1;
  CHECK(byte_in_file(whole, &load, 3) == -1); /* the arena is there */
  cow_arena_close(arena);
  CHECK(byte_in_file(whole, &load, 3) == 2);
  cow_snapshot_release(second);
  cow_snapshot_release(first);
  remove_folder();
}

TEST(a_snapshot_goes_through_a_pipe) {
  cow_arena *arena = arena_of(4), *loaded;
  cow_snapshot* snapshot;
  int ends[2];
  bytes_of(arena)[7] = 3;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 0);
  CHECK(cow_snapshot_save_fd(snapshot, ends[1], NULL) == 0);
  close(ends[1]);
  CHECK(cow_arena_load_fd(ends[0], NULL, &loaded) == 0);
  close(ends[0]);
  CHECK(bytes_of(loaded)[7] == 3);
  CHECK(cow_snapshot_save_fd(snapshot, ends[1], NULL) == -EBADF);
  CHECK(cow_arena_load_fd(-1, NULL, &loaded) == -EBADF && loaded == NULL);
  cow_arena_close(loaded);
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
}

TEST(a_snapshot_that_is_let_go_of_is_closed) {
  cow_arena* arena = arena_of(4);
  cow_snapshot* snapshot;
  bytes_of(arena)[7] = 3;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK_FAILS(cow_snapshot_save_and_release(snapshot, NULL, NULL), EINVAL, "path is NULL");
  CHECK(cow_snapshot_capacity(snapshot) != 0);
  CHECK(cow_snapshot_save_and_release(snapshot, in_folder("whole"), NULL) == 0);
  CHECK(cow_snapshot_capacity(snapshot) == 0);
  CHECK_FAILS(cow_snapshot_save_and_release(snapshot, in_folder("whole"), NULL), EINVAL, "was closed");
  CHECK(byte_in_file(in_folder("whole"), NULL, 7) == 3);
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  CHECK(cow_snapshot_save_and_release(snapshot, "/nowhere/at/all", NULL) == -ENOENT);
  CHECK(cow_snapshot_capacity(snapshot) == 0);
  cow_arena_close(arena);
  remove_folder();
}

TEST(what_cannot_be_saved_or_loaded_is_told) {
  const char* whole = in_folder("whole");
  const char* nothing[1] = {NULL};
  cow_arena *arena = arena_of(4), *loaded = NO_HANDLE(cow_arena);
  cow_snapshot* snapshot;
  cow_save_options save;
  cow_load_options load;
  cow_saved_file told;
  char *name = (char*)&told, *note = name;
  int fd;
  CHECK(cow_arena_snapshot(arena, &snapshot) == 0);
  cow_save_options_init(&save);
  cow_save_options_init(NULL);
  cow_load_options_init(NULL);
  save.progress = stop;
  CHECK_FAILS(cow_snapshot_save(snapshot, whole, &save), ECANCELED, "cow_snapshot_save");
  CHECK(access(whole, F_OK) != 0);
  save.progress = NULL;
  save.compression = 7;
  CHECK_FAILS(cow_snapshot_save(snapshot, whole, &save), EINVAL, "no such compression");
  save.compression = COW_COMPRESSION_NONE;
  save.since = NO_HANDLE(cow_snapshot);
  CHECK_FAILS(cow_snapshot_save(snapshot, whole, &save), EINVAL, "is no snapshot");
  save.since = snapshot;
  CHECK_FAILS(cow_snapshot_save(snapshot, whole, &save), EINVAL, "cow_snapshot_save");
  save.since = NULL;
  save.reserved = 1;
  CHECK_FAILS(cow_snapshot_save(snapshot, whole, &save), E2BIG, "reserved");
  save.size = 8;
  CHECK_FAILS(cow_snapshot_save(snapshot, whole, &save), EINVAL, "_init()");
  CHECK_FAILS(cow_snapshot_save(snapshot, NULL, NULL), EINVAL, "path is NULL");
  CHECK_FAILS(cow_snapshot_save(NULL, whole, NULL), EINVAL, "snapshot is NULL");
  CHECK_FAILS(cow_snapshot_save_fd(NULL, 1, NULL), EINVAL, "snapshot is NULL");
  CHECK_FAILS(cow_arena_load(whole, NULL, &loaded), ENOENT, "cow_arena_load");
  CHECK(loaded == NULL);
  CHECK_FAILS(cow_arena_load(whole, NULL, NULL), EINVAL, "NULL");
  CHECK((fd = open(whole, O_CREAT | O_WRONLY, 0600)) >= 0 && write(fd, "no saved file", 13) == 13);
  close(fd);
  CHECK_FAILS(cow_arena_load(whole, NULL, &loaded), EIO, "cow_arena_load");
  told.size = sizeof told;
  CHECK_FAILS(cow_saved_file_inspect(whole, &told), EIO, "cow_saved_file_inspect");
  CHECK_FAILS(cow_saved_file_inspect(whole, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_saved_file_texts(whole, &name, &note), EIO, "cow_saved_file_texts");
  CHECK(name == NULL && note == NULL);
  CHECK_FAILS(cow_saved_file_verify(whole), EIO, "cow_saved_file_verify");
  CHECK_FAILS(cow_saved_file_verify(NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_saved_files_squash(NULL, 1, whole, NULL), EINVAL, "NULL");
  CHECK_FAILS(cow_saved_files_squash(nothing, 1, whole, NULL), EINVAL, "NULL");
  cow_load_options_init(&load);
  load.barrier = 77;
  CHECK_FAILS(cow_arena_load(whole, &load, &loaded), EINVAL, "no such barrier");
  cow_snapshot_release(snapshot);
  cow_arena_close(arena);
  remove_folder();
}

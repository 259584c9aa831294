/* Promise: the options of saving and loading mean in C, member by member and error by error, what they do in C++;
 * structures of other headers are read as far as both know them. */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capi/check.h"

static const size_t pages = 16;

/* A folder with a whole file, two layers on it, and what they were saved from. */
typedef struct {
  char folder[32], whole[64], first_layer[64], second_layer[64], other[64];
  cow_arena* arena;
  cow_snapshot* versions[3];
} saved;

static cow_save_options unsynced(void) {
  cow_save_options options;
  cow_save_options_init(&options);
  options.sync = 0;
  return options;
}

static cow_save_options layer_on(const cow_snapshot* since, const char* base) {
  cow_save_options options = unsynced();
  options.since = since;
  options.base = base;
  return options;
}

static int make_saved(saved* all) {
  cow_save_options options = unsynced();
  int i;
  strcpy(all->folder, "/tmp/cow-c-test-XXXXXX");
  if (mkdtemp(all->folder) == NULL) return 0;
  snprintf(all->whole, sizeof all->whole, "%s/whole", all->folder);
  snprintf(all->first_layer, sizeof all->first_layer, "%s/first", all->folder);
  snprintf(all->second_layer, sizeof all->second_layer, "%s/second", all->folder);
  snprintf(all->other, sizeof all->other, "%s/other", all->folder);
  all->arena = arena_of(pages);
  memset(bytes_of(all->arena), 1, 10 * cow_page_size());
  for (i = 0; i < 3; ++i) {
    bytes_of(all->arena)[i] = (unsigned char)(10 + i);
    if (cow_arena_snapshot(all->arena, &all->versions[i]) != 0) return 0;
  }
  if (cow_snapshot_save(all->versions[0], all->whole, &options) != 0) return 0;
  options = layer_on(all->versions[0], all->whole);
  if (cow_snapshot_save(all->versions[1], all->first_layer, &options) != 0) return 0;
  options = layer_on(all->versions[1], all->first_layer);
  return cow_snapshot_save(all->versions[2], all->second_layer, &options) == 0;
}

static void remove_saved(saved* all) {
  int i;
  for (i = 0; i < 3; ++i) cow_snapshot_release(all->versions[i]);
  cow_arena_close(all->arena);
  unlink(all->whole);
  unlink(all->first_layer);
  unlink(all->second_layer);
  unlink(all->other);
  if (rmdir(all->folder) != 0) check_failed(__FILE__, __LINE__, "something was left behind");
}

/* The first bytes of what these options load, as one number; -1: nothing. */
static long loaded_begin(const char* path, const cow_load_options* options) {
  cow_arena* loaded;
  const unsigned char* at;
  long begin;
  if (cow_arena_load(path, options, &loaded) != 0) return -1;
  at = bytes_of(loaded);
  begin = at[0] * 10000 + at[1] * 100 + at[2];
  cow_arena_close(loaded);
  return begin;
}

TEST(layers_are_a_list_of_paths_oldest_first) {
  saved all;
  cow_load_options load;
  cow_arena* arena = NO_HANDLE(cow_arena);
  const char* list[3];
  CHECK(make_saved(&all));
  list[0] = all.first_layer;
  list[1] = all.second_layer;
  cow_load_options_init(&load);
  load.layers = list; /* without a count: none of them */
  CHECK(loaded_begin(all.whole, &load) == 100101);
  load.layer_count = 1;
  CHECK(loaded_begin(all.whole, &load) == 101101);
  load.layer_count = 2;
  CHECK(loaded_begin(all.whole, &load) == 101112);
  load.lazy = 0;
  CHECK(loaded_begin(all.whole, &load) == 101112);
  list[0] = NULL;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), EINVAL, "a path in the list");
  list[0] = "";
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), EINVAL, "a path in the list");
  list[0] = all.second_layer; /* the wrong order, a layer twice, one that is none, one without what is below it */
  list[1] = all.first_layer;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), EIO, "layer on another file");
  list[0] = list[1];
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), EIO, "layer on another file");
  list[1] = all.whole;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), EIO, "is no layer");
  CHECK_FAILS(cow_arena_load(all.first_layer, NULL, &arena), EIO, "it is a layer");
  list[1] = all.other;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), ENOENT, "other");
  load.layers = NULL;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &arena), EINVAL, "list of paths is NULL");
  CHECK_FAILS(cow_arena_load("", NULL, &arena), EINVAL, "path is NULL or empty");
  CHECK_FAILS(cow_arena_load(all.folder, NULL, &arena), EIO, "folder");
  CHECK_FAILS(cow_arena_load_fd(987, NULL, &arena), EBADF, "cow_arena_load_fd");
  CHECK(arena == NULL);
  remove_saved(&all);
}

TEST(a_load_has_the_place_the_size_and_the_name_that_were_asked_for) {
  const size_t page = cow_page_size();
  saved all;
  cow_load_options load;
  cow_arena *loaded = NO_HANDLE(cow_arena);
  void* const hole = mmap(NULL, 64 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(make_saved(&all));
  cow_load_options_init(&load);
  load.address = hole;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EEXIST, "something is mapped");
  munmap(hole, 64 * page);
  load.capacity = 20 * page + 1;
  load.name = "another name";
  CHECK(cow_arena_load(all.whole, &load, &loaded) == 0 && cow_arena_data(loaded) == hole);
  CHECK(cow_arena_capacity(loaded) == 21 * page && bytes_of(loaded)[20 * page] == 0);
  CHECK(strcmp(cow_arena_name(loaded), "another name") == 0);
  cow_arena_close(loaded);
  load.name = ""; /* as saved, as NULL is */
  load.capacity = 10 * page;
  CHECK(cow_arena_load(all.whole, &load, &loaded) == 0 && cow_arena_capacity(loaded) == 10 * page);
  CHECK(strcmp(cow_arena_name(loaded), "of a C test") == 0);
  cow_arena_close(loaded);
  load.capacity = 9 * page;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EINVAL, "less than the content");
  load.capacity = (size_t)-1;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EINVAL, "more than one can have");
  load.capacity = 0;
  load.address = (char*)hole + 1;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EINVAL, "multiple of the page size");
  load.address = hole;
  load.at_saved_address = 1;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EINVAL, "both asked for");
  load.address = NULL;
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EEXIST, "something is mapped");
  load.address = cow_arena_data(all.arena); /* the same, said twice */
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EEXIST, "something is mapped");
  cow_arena_close(all.arena);
  all.arena = NULL;
  CHECK(cow_arena_load(all.whole, &load, &loaded) == 0 && cow_arena_data(loaded) == load.address);
  cow_arena_close(loaded);
  remove_saved(&all);
}

TEST(a_gate_that_is_none_is_refused_by_a_load_and_one_that_is_stays_the_callers) {
  saved all;
  cow_load_options load;
  cow_arena* loaded;
  cow_snapshot* snapshot;
  cow_gate* gate;
  CHECK(make_saved(&all));
  cow_load_options_init(&load);
  load.gate = NO_HANDLE(cow_gate);
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EINVAL, "is no gate");
  CHECK(cow_gate_open(&gate) == 0);
  load.gate = gate;
  load.quiet_cuts = 1;
  CHECK(cow_arena_load(all.whole, &load, &loaded) == 0);
  CHECK(cow_gate_begin_updating(gate) == 0);
  CHECK(cow_arena_snapshot(loaded, &snapshot) == -EDEADLK);
  CHECK(cow_gate_end_updating(gate) == 0);
  CHECK(cow_arena_snapshot(loaded, &snapshot) == 0);
  cow_snapshot_release(snapshot);
  cow_arena_close(loaded);
  cow_gate_close(gate);
  CHECK_FAILS(cow_arena_load(all.whole, &load, &loaded), EINVAL, "is no gate");
  remove_saved(&all);
}

TEST(a_layer_needs_what_it_lies_on_and_says_what_is_wrong_with_it) {
  saved all;
  cow_arena* stranger = arena_of(pages);
  cow_snapshot* of_stranger;
  cow_save_options save;
  CHECK(make_saved(&all) && cow_arena_snapshot(stranger, &of_stranger) == 0);
  save = layer_on(all.versions[0], NULL);
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.other, &save), EINVAL, "belong together");
  save = layer_on(NULL, all.whole);
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.other, &save), EINVAL, "belong together");
  save = layer_on(all.versions[0], "");
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.other, &save), EINVAL, "base is empty");
  save = layer_on(of_stranger, all.whole);
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.other, &save), EINVAL, "no relative");
  save = layer_on(all.versions[1], all.whole);
  CHECK_FAILS(cow_snapshot_save(all.versions[2], all.other, &save), EINVAL, "does not hold cow_save_options.since");
  save = layer_on(all.versions[0], all.other);
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.other, &save), ENOENT, "other");
  save = layer_on(all.versions[0], all.whole);
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.whole, &save), EINVAL, "cannot take the place");
  CHECK(access(all.other, F_OK) != 0 && cow_saved_file_verify(all.whole) == 0);
  CHECK(cow_snapshot_save(all.versions[0], all.other, &save) == 0); /* no difference is a layer too */
  cow_snapshot_release(of_stranger);
  CHECK_FAILS(cow_snapshot_save(of_stranger, all.other, NULL), EINVAL, "was closed");
  save = layer_on(of_stranger, all.whole);
  CHECK_FAILS(cow_snapshot_save(all.versions[1], all.other, &save), EINVAL, "was closed");
  cow_arena_close(stranger);
  remove_saved(&all);
}

TEST(a_note_and_a_level_have_their_limits) {
  static char note[3002];
  saved all;
  cow_save_options save = unsynced();
  char* told;
  int error;
  CHECK(make_saved(&all));
  memset(note, 'n', sizeof note - 1);
  save.note = note;
  CHECK_FAILS(cow_snapshot_save(all.versions[0], all.other, &save), EINVAL, "note of 3001 bytes");
  note[3000] = '\0';
  CHECK(cow_snapshot_save(all.versions[0], all.other, &save) == 0);
  CHECK(cow_saved_file_texts(all.other, NULL, &told) == 0 && strcmp(told, note) == 0);
  cow_free(told);
  save.note = "";
  save.level = 1000000; /* of no compression: not looked at */
  CHECK(cow_snapshot_save(all.versions[0], all.other, &save) == 0);
  CHECK(cow_saved_file_texts(all.other, NULL, &told) == 0 && *told == '\0');
  cow_free(told);
  save.compression = COW_COMPRESSION_ZSTD;
  CHECK_FAILS(cow_snapshot_save(all.versions[0], all.other, &save), EINVAL, "zstd");
  CHECK(strstr(cow_last_error(), "::") == NULL);
  save.level = 1;
  error = cow_snapshot_save(all.versions[0], all.other, &save);
  CHECK(error == 0 || error == -EINVAL); /* built without zstd */
  save.compression = -1;
  CHECK_FAILS(cow_snapshot_save(all.versions[0], all.other, &save), EINVAL, "no such compression");
  remove_saved(&all);
}

TEST(what_cannot_be_written_to_is_told_and_nothing_is_left) {
  saved all;
  cow_save_options save = unsynced();
  cow_save_report report = {1, 2, 3};
  int fd, ends[2];
  CHECK(make_saved(&all));
  save.report = &report;
  CHECK_FAILS(cow_snapshot_save(all.versions[0], all.folder, &save), EISDIR, "folder");
  CHECK_FAILS(cow_snapshot_save(all.versions[0], "/dev/null", &save), ENOTSUP, "descriptor");
  CHECK_FAILS(cow_snapshot_save(all.versions[0], "", &save), EINVAL, "path is NULL or empty");
  CHECK_FAILS(cow_snapshot_save(all.versions[0], "/tmp/no/such/folder", &save), ENOENT, "cow_snapshot_save");
  CHECK_FAILS(cow_snapshot_save_fd(all.versions[0], -1, &save), EBADF, "descriptor");
  CHECK((fd = open(all.whole, O_RDONLY)) >= 0);
  CHECK_FAILS(cow_snapshot_save_fd(all.versions[0], fd, &save), EBADF, "not open for this");
  close(fd);
  CHECK((fd = open("/dev/full", O_WRONLY)) >= 0);
  CHECK_FAILS(cow_snapshot_save_fd(all.versions[0], fd, &save), ENOSPC, "cow_snapshot_save_fd");
  close(fd);
  CHECK(pipe(ends) == 0);
  close(ends[0]);
  CHECK_FAILS(cow_snapshot_save_fd(all.versions[0], ends[1], &save), EPIPE, "nobody reads");
  close(ends[1]);
  CHECK(report.pages == 1 && report.bytes == 2 && report.seconds == 3);
  remove_saved(&all);
}

TEST(a_file_that_the_arena_is_mapped_from_is_not_written_over_by_a_descriptor) {
  saved all;
  cow_arena* loaded;
  cow_snapshot* snapshot;
  int fd;
  CHECK(make_saved(&all));
  CHECK(cow_arena_load(all.whole, NULL, &loaded) == 0 && cow_arena_snapshot(loaded, &snapshot) == 0);
  CHECK((fd = open(all.whole, O_RDWR)) >= 0);
  CHECK_FAILS(cow_snapshot_save_fd(snapshot, fd, NULL), EINVAL, "mapped from");
  close(fd);
  CHECK(cow_saved_file_verify(all.whole) == 0);
  CHECK(cow_snapshot_save(snapshot, all.whole, NULL) == 0); /* which replaces it */
  cow_snapshot_release(snapshot);
  cow_arena_close(loaded);
  remove_saved(&all);
}

TEST(a_handle_is_closed_by_a_save_that_lets_go_once_that_has_begun) {
  saved all;
  cow_save_options save = unsynced();
  CHECK(make_saved(&all));
  save.reserved = 1;
  CHECK_FAILS(cow_snapshot_save_and_release(all.versions[1], all.other, &save), E2BIG, "reserved");
  save = layer_on(NO_HANDLE(cow_snapshot), all.whole);
  CHECK_FAILS(cow_snapshot_save_and_release(all.versions[1], all.other, &save), EINVAL, "is no snapshot");
  CHECK(cow_snapshot_capacity(all.versions[1]) != 0);
  save = layer_on(all.versions[1], all.first_layer); /* itself */
  CHECK(cow_snapshot_save_and_release(all.versions[1], all.other, &save) == 0);
  CHECK(cow_snapshot_capacity(all.versions[1]) == 0);
  save = layer_on(all.versions[0], NULL); /* found out too late */
  CHECK(cow_snapshot_save_and_release(all.versions[2], all.other, &save) == -EINVAL);
  CHECK(cow_snapshot_capacity(all.versions[2]) == 0);
  cow_snapshot_release(all.versions[2]); /* which is nothing */
  remove_saved(&all);
}

TEST(a_squash_tells_what_it_wrote_and_takes_no_version) {
  saved all;
  cow_save_options save = unsynced();
  cow_save_report report = {0, 0, -1};
  cow_saved_file told;
  const char* list[3];
  CHECK(make_saved(&all));
  list[0] = all.whole;
  list[1] = all.first_layer;
  list[2] = all.second_layer;
  save.report = &report;
  save.note = "squashed";
  CHECK(cow_saved_files_squash(list, 3, all.other, &save) == 0);
  told.size = sizeof told;
  CHECK(cow_saved_file_inspect(all.other, &told) == 0 && told.pages == 10);
  CHECK(report.pages == 10 && report.bytes > 10 * cow_page_size() && report.bytes == told.file_bytes);
  CHECK(report.seconds >= 0 && loaded_begin(all.other, NULL) == 101112);
  CHECK_FAILS(cow_saved_files_squash(list, 0, all.other, &save), EINVAL, "no files");
  CHECK_FAILS(cow_saved_files_squash(list, 3, "", &save), EINVAL, "path is NULL or empty");
  list[1] = all.second_layer;
  CHECK_FAILS(cow_saved_files_squash(list, 2, all.other, &save), EIO, "layer on another file");
  save.since = all.versions[0];
  CHECK_FAILS(cow_saved_files_squash(list, 1, all.other, &save), EINVAL, "cow_save_options.since");
  save.since = NULL;
  save.base = all.whole;
  CHECK_FAILS(cow_saved_files_squash(list, 1, all.other, &save), EINVAL, "base");
  CHECK(loaded_begin(all.other, NULL) == 101112);
  remove_saved(&all);
}

TEST(save_and_load_options_of_other_headers_are_read_as_far_as_both_know_them) {
  struct {
    cow_save_options known;
    long later;
  } longer_save;
  struct {
    cow_load_options known;
    long later;
  } longer_load;
  saved all;
  cow_arena* loaded;
  CHECK(make_saved(&all));
  longer_save.known = unsynced();
  longer_save.known.size = sizeof longer_save;
  longer_save.later = 0;
  CHECK(cow_snapshot_save(all.versions[0], all.other, &longer_save.known) == 0);
  longer_save.later = 1;
  CHECK_FAILS(cow_snapshot_save(all.versions[0], all.other, &longer_save.known), E2BIG, "older than the program");
  cow_load_options_init(&longer_load.known);
  longer_load.known.size = sizeof longer_load;
  longer_load.later = 0;
  CHECK(cow_arena_load(all.whole, &longer_load.known, &loaded) == 0);
  cow_arena_close(loaded);
  longer_load.later = 1;
  CHECK_FAILS(cow_arena_load(all.whole, &longer_load.known, &loaded), E2BIG, "older than the program");
  longer_load.known.size = offsetof(cow_load_options, gate); /* what is behind is not the library's to read */
  memset((char*)&longer_load + offsetof(cow_load_options, gate), 0x55,
         sizeof longer_load - offsetof(cow_load_options, gate));
  CHECK(cow_arena_load(all.whole, &longer_load.known, &loaded) == 0);
  cow_arena_close(loaded);
  remove_saved(&all);
}

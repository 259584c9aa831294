/* Snapshots as files: saved whole or as layers, loaded again, looked into, checked, and joined. A part of cow/cow.h,
 * whose rules hold here too; what is not said here is in cow/save.hpp.
 *
 * Errors besides: what the kernel refuses (-ENOSPC, -EDQUOT, -EFBIG, -EROFS), with the file from before as it was; -EIO
 * for a file that is no saved file, is damaged, or is not the one that was asked for. */
#ifndef COW_COW_FILES_H
#define COW_COW_FILES_H

#include "cow/cow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum cow_compression {
  COW_COMPRESSION_NONE = 0,
  COW_COMPRESSION_ZSTD = 1 /* -EINVAL where the library was built without it */
};

typedef struct cow_save_report {
  uint64_t pages; /* with content, in the file */
  uint64_t bytes; /* written */
  double seconds;
} cow_save_report;

typedef struct cow_save_options {
  size_t size;                /* of this structure */
  const cow_snapshot* since;  /* write only what differs from this, which was saved to `base`. NULL: all */
  const char* base;           /* that file: the new one is a layer on it */
  int compression;            /* COW_COMPRESSION_NONE */
  int level;                  /* of compression, as the zstd program counts. 1 */
  int sync;                   /* not 0: on the disk, with its name, when the call returns. 1 */
  int reserved;               /* 0 */
  const char* note;           /* for people; at most 3,000 bytes. NULL: none */
  /* Called by the saving thread every MiB or so; not 0: stop, with -ECANCELED and nothing left behind. NULL: none */
  int (*progress)(void* context, uint64_t bytes_done, uint64_t bytes_total);
  void* context;              /* for progress() */
  cow_save_report* report;    /* filled in on success. NULL: not wanted */
} cow_save_options;

/* Fills in what stands above; of this layout for ever. NULL: nothing. Cannot fail. */
COW_C_API void cow_save_options_init(cow_save_options* options) COW_C_NOEXCEPT;

/* Writes a version to a file while writers go on. A reader of `path` sees the old file or the whole new one. Cost: 1.3
 * times a plain write() of what is not zero. NULL: the usual options. */
COW_C_API int cow_snapshot_save(const cow_snapshot* snapshot, const char* path,
                                const cow_save_options* options_or_null) COW_C_NOEXCEPT;
/* The same, and lets go of the version on the way, so that memory stays bounded beside a writer. The handle is closed
 * afterwards, also when it fails, but for a call that ends before it has begun: with a handle, path or structure that
 * cannot be (-EINVAL, -E2BIG). Releasing it after any failure is right: what is closed already stays so. */
COW_C_API int cow_snapshot_save_and_release(cow_snapshot* snapshot, const char* path,
                                            const cow_save_options* options_or_null) COW_C_NOEXCEPT;
/* To a descriptor of the caller's, from its position on, which need not seek: a pipe, a socket. Not synced. -EINVAL for
 * the file that the arena or a relative was loaded from and is mapped from, or that the layer lies on. */
COW_C_API int cow_snapshot_save_fd(const cow_snapshot* snapshot, int fd,
                                   const cow_save_options* options_or_null) COW_C_NOEXCEPT;

typedef struct cow_load_options {
  size_t size;               /* of this structure */
  const char* const* layers; /* on top of the file, oldest first. NULL: none */
  size_t layer_count;        /* 0 */
  int at_saved_address;      /* not 0: raw pointers hold; -EEXIST where something is mapped there. 0 */
  int lazy;                  /* not 0: pages are read where they are touched; 0: all are read and checked now. 1 */
  void* address;             /* NULL: anywhere */
  size_t capacity;           /* 0: as saved, which a heap in it wants; more is fine for all else, less than the content
                                is -EINVAL */
  int barrier;               /* COW_BARRIER_MPROTECT */
  int reserved;              /* 0 */
  const char* name;          /* NULL: as saved */
  cow_gate* gate;            /* keeps updates out of each snapshot, as in cow_arena_options. NULL: none */
  int quiet_cuts;            /* not 0: a promise that no other thread writes while a cut is made. 0 */
  int reserved_too;          /* 0 */
} cow_load_options;

/* Fills in what stands above. The function of this name knows the members up to name; the macro, which C and C++ see,
 * hands on how large the structure is for them. NULL: nothing. Cannot fail. */
COW_C_API void cow_load_options_init(cow_load_options* options) COW_C_NOEXCEPT;
COW_C_API void cow_load_options_init_sized(cow_load_options* options, size_t size) COW_C_NOEXCEPT;
#define cow_load_options_init(options) cow_load_options_init_sized((options), sizeof(cow_load_options))

/* An arena with the saved content, full in every way. Lazily it costs microseconds at any size; the file must then not
 * be changed while the arena is open, though it may be replaced by a rename or deleted. */
COW_C_API int cow_arena_load(const char* path, const cow_load_options* options_or_null,
                             cow_arena** arena) COW_C_NOEXCEPT;
/* From a descriptor, which stays the caller's: what can seek is read from its start, anything else to its end. */
COW_C_API int cow_arena_load_fd(int fd, const cow_load_options* options_or_null, cow_arena** arena) COW_C_NOEXCEPT;

typedef struct cow_saved_file {
  size_t size;           /* of this structure: set before the call */
  uint64_t capacity;     /* bytes, of the arena */
  uint64_t pages;        /* with content in this file */
  uint64_t file_bytes;   /* its length */
  uint64_t address;      /* where the arena was */
  uint64_t page_bytes;   /* of the machine that saved it */
  uint64_t heap_version; /* of the heap in it; 0: none */
  unsigned char id[16];
  unsigned char base_id[16]; /* of the file that a layer lies on; else zeros */
  int is_layer;
  int is_compressed;
} cow_saved_file;

/* Reads and checks a file's head, end and index. */
COW_C_API int cow_saved_file_inspect(const char* path, cow_saved_file* file) COW_C_NOEXCEPT;
/* The arena's name, and the note; each for cow_free(). Either place may be NULL. */
COW_C_API int cow_saved_file_texts(const char* path, char** name, char** note) COW_C_NOEXCEPT;
/* Reads all of a file: 0, or -EIO and cow_last_error() names the first fault. */
COW_C_API int cow_saved_file_verify(const char* path) COW_C_NOEXCEPT;
/* One file in place of several: a whole one and the layers on it, or some layers in a row, oldest first. `into` may be
 * one of them. Options: not since and base, with which it is -EINVAL; report->bytes is the new file's length. */
COW_C_API int cow_saved_files_squash(const char* const* file_and_layers, size_t count, const char* into,
                                     const cow_save_options* options_or_null) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* COW_COW_FILES_H */

/* A heap in an arena, and malloc and free in the shapes that C libraries want, so that what they keep is snapshotted,
 * rolled back and cloned with the arena. A part of cow/cow.h, whose rules hold here too.
 *
 * All functions may be called by any threads at once, also beside snapshots, which never catch one half done; not by
 * signal handlers. In a fork() child they go on, in the child's own copy. */
#ifndef COW_COW_HEAP_H
#define COW_COW_HEAP_H

#include "cow/cow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cow_heap_options {
  size_t size;            /* of this structure */
  size_t keep_free_bytes; /* free memory kept for the next allocations, at most; the rest goes back at once. 64 MiB */
} cow_heap_options;

/* Fills in what stands above; of this layout for ever. NULL: nothing. Cannot fail. */
COW_C_API void cow_heap_options_init(cow_heap_options* options) COW_C_NOEXCEPT;

/* Makes a heap in an arena that was never written, or a handle on the one it holds, as a clone does. NULL: the options
 * as they are in the heap already. -EINVAL where the arena holds other content, has excluded pages and no heap, or is
 * too small; -EBUSY where it has a cut hook. All handles on one arena's heap mean the same heap. */
COW_C_API int cow_heap_open(cow_arena* arena, const cow_heap_options* options_or_null, cow_heap** heap) COW_C_NOEXCEPT;
/* Drops the handle; the heap and its blocks stay in the arena. Cannot fail. */
COW_C_API void cow_heap_close(cow_heap* heap) COW_C_NOEXCEPT;
/* 1 if both are handles on one arena's heap, else 0. */
COW_C_API int cow_heap_same(const cow_heap* a, const cow_heap* b) COW_C_NOEXCEPT;

/* ---- Blocks: as malloc, with the heap as context ----
 * NULL and errno ENOMEM where the arena is full, EINVAL for arguments that cannot be right, EPERM where a rollback took
 * the heap away; cow_last_error() tells which arena and how large. Blocks are aligned for every type. Tens of
 * nanoseconds up to 8 KiB. */

/* n may be 0: a block all the same. */
COW_C_API void* cow_heap_malloc(cow_heap* heap, size_t n) COW_C_NOEXCEPT;
/* Zero throughout. Large blocks from memory that was never used, or given back, are not written for that. */
COW_C_API void* cow_heap_calloc(cow_heap* heap, size_t count, size_t n) COW_C_NOEXCEPT;
/* At the same place where possible. NULL is as cow_heap_malloc(); with n == 0 the block shrinks and is not freed. On
 * failure the block is left alone; EINVAL for what is not a live block. */
COW_C_API void* cow_heap_realloc(cow_heap* heap, void* block, size_t n) COW_C_NOEXCEPT;
/* NULL: nothing. What is not a live block of this heap is refused and counted, and so is one with pages that
 * cow_arena_exclude() has taken out of snapshots: cow_heap_check(). */
COW_C_API void cow_heap_free(cow_heap* heap, void* block) COW_C_NOEXCEPT;
/* `alignment`: a power of two. Beyond a page it holds in this arena only. */
COW_C_API void* cow_heap_aligned_alloc(cow_heap* heap, size_t alignment, size_t n) COW_C_NOEXCEPT;
/* The same, zero throughout. */
COW_C_API void* cow_heap_aligned_calloc(cow_heap* heap, size_t alignment, size_t n) COW_C_NOEXCEPT;
/* A copy of the text. */
COW_C_API char* cow_heap_strdup(cow_heap* heap, const char* text) COW_C_NOEXCEPT;
/* Bytes that may be used, at least what was asked for; 0 if it is not a live block. */
COW_C_API size_t cow_heap_usable_size(const cow_heap* heap, const void* block) COW_C_NOEXCEPT;
/* What that will be for a block of n bytes, in any heap. */
COW_C_API size_t cow_heap_rounded_size(size_t n) COW_C_NOEXCEPT;

/* ---- The heap as a whole ---- */

/* The one pointer from which a clone or a view finds the rest. In a clone it leads to the clone's own copy. NULL: none.
 * -EINVAL for a root outside the arena. */
COW_C_API int cow_heap_set_root(cow_heap* heap, void* root) COW_C_NOEXCEPT;
/* NULL if none was set, and on errors. */
COW_C_API void* cow_heap_root(const cow_heap* heap) COW_C_NOEXCEPT;
/* The root in a view of a snapshot of an arena with a heap. NULL if none, and on errors. */
COW_C_API const void* cow_view_root(const cow_view* view) COW_C_NOEXCEPT;

typedef struct cow_heap_stats {
  size_t size;                /* of this structure: set before the call */
  uint64_t live_blocks;
  uint64_t live_bytes;        /* usable sizes of the live blocks */
  uint64_t used_bytes;        /* pages that hold live blocks, whole */
  uint64_t kept_bytes;        /* free pages whose memory is kept for the next allocations */
  uint64_t bookkeeping_bytes; /* the part of the heap's own books that is in use */
  uint64_t refused_frees;     /* frees of what was no live block */
} cow_heap_stats;
COW_C_API int cow_heap_get_stats(const cow_heap* heap, cow_heap_stats* stats) COW_C_NOEXCEPT;

/* Walks all bookkeeping: 0 if the heap is sound, else -EIO, and cow_last_error() names what contradicts itself. */
COW_C_API int cow_heap_check(const cow_heap* heap) COW_C_NOEXCEPT;
/* The pointer that cow_heap_free() refused last, as no live block's. NULL if none was, and on errors. Cost: as
 * cow_heap_check(). */
COW_C_API const void* cow_heap_last_refused(const cow_heap* heap) COW_C_NOEXCEPT;
/* Gives the memory of all free pages back, as far as no snapshot needs it. */
COW_C_API int cow_heap_trim(cow_heap* heap) COW_C_NOEXCEPT;

/* ---- For libraries whose allocators have a context: give them the heap as that ---- */

/* Lua: lua_newstate(cow_lua_alloc, heap). */
COW_C_API void* cow_lua_alloc(void* heap, void* block, size_t had, size_t n) COW_C_NOEXCEPT;

/* zlib and bzip2: stream.zalloc = cow_zlib_alloc; stream.zfree = cow_zlib_free; stream.opaque = heap. */
COW_C_API void* cow_zlib_alloc(void* heap, unsigned items, unsigned bytes) COW_C_NOEXCEPT;
COW_C_API void cow_zlib_free(void* heap, void* block) COW_C_NOEXCEPT;

/* zstd (ZSTD_customMem), Duktape and others: alloc(opaque, bytes), free(opaque, block), realloc(opaque, block, bytes),
 * in whatever order they name them. */
COW_C_API void* cow_opaque_malloc(void* heap, size_t n) COW_C_NOEXCEPT;
COW_C_API void* cow_opaque_realloc(void* heap, void* block, size_t n) COW_C_NOEXCEPT;
COW_C_API void cow_opaque_free(void* heap, void* block) COW_C_NOEXCEPT;

/* SQLite: its methods have no context, but xInit has: one heap at a time, from sqlite3_initialize() to
 * sqlite3_shutdown().
 *
 *     static sqlite3_mem_methods methods = COW_SQLITE_METHODS(NULL);
 *     methods.pAppData = heap;
 *     sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);  // before sqlite3_initialize()
 *     sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);      // else SQLite counts, outside the arena, what is rolled back
 */
COW_C_API void* cow_sqlite_malloc(int n) COW_C_NOEXCEPT;
COW_C_API void cow_sqlite_free(void* block) COW_C_NOEXCEPT;
COW_C_API void* cow_sqlite_realloc(void* block, int n) COW_C_NOEXCEPT;
/* At most INT_MAX, which is what can be told of a larger block. */
COW_C_API int cow_sqlite_size(void* block) COW_C_NOEXCEPT;
COW_C_API int cow_sqlite_roundup(int n) COW_C_NOEXCEPT;
COW_C_API int cow_sqlite_init(void* heap) COW_C_NOEXCEPT;
COW_C_API void cow_sqlite_shutdown(void* heap) COW_C_NOEXCEPT;
#define COW_SQLITE_METHODS(heap)                                                                               \
  {                                                                                                            \
    cow_sqlite_malloc, cow_sqlite_free, cow_sqlite_realloc, cow_sqlite_size, cow_sqlite_roundup,               \
        cow_sqlite_init, cow_sqlite_shutdown, (heap)                                                           \
  }

/* ---- For libraries whose allocators have no context: one heap for the process ----
 * Until a heap is set, and after NULL is, they are the C library's own. A block that does not lie in the heap's arena
 * is the C library's, and goes back there; so a library may be handed them in mid-life. A block of an arena must not
 * be freed after another heap, or none, was set.
 *
 * libxml2: xmlMemSetup(cow_process_free, cow_process_malloc, cow_process_realloc, cow_process_strdup), first of all.
 * libcurl: curl_global_init_mem() wants the same and cow_process_calloc; expat and cJSON take malloc, realloc, free. */

/* The handle may be closed then: the process keeps one of its own for each heap that is set in turn. */
COW_C_API int cow_process_heap_set(cow_heap* heap_or_null) COW_C_NOEXCEPT;
COW_C_API void* cow_process_malloc(size_t n) COW_C_NOEXCEPT;
COW_C_API void* cow_process_calloc(size_t count, size_t n) COW_C_NOEXCEPT;
COW_C_API void* cow_process_realloc(void* block, size_t n) COW_C_NOEXCEPT;
COW_C_API void cow_process_free(void* block) COW_C_NOEXCEPT;
COW_C_API void* cow_process_aligned_alloc(size_t alignment, size_t n) COW_C_NOEXCEPT;
COW_C_API char* cow_process_strdup(const char* text) COW_C_NOEXCEPT;
COW_C_API size_t cow_process_usable_size(const void* block) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* COW_COW_HEAP_H */

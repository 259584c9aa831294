/* The C interface: for C11, for C++, and for every language that can call C. Its parts are included here: heaps and
 * allocators for C libraries (cow/cow_heap.h), versions compared and merged (cow/cow_versions.h), what threads want
 * (cow/cow_threads.h), saved files (cow/cow_files.h), reports (cow/cow_report.h).
 *
 * Rules for all of it, unless a function says otherwise:
 * - A call returns 0, or a negative errno and changes nothing; cow_last_error() then tells the rest. What gives a
 *   pointer or a size gives NULL or 0 instead, also by way of a pointer to it: *arena is NULL, *count 0, whatever they
 *   were. Numbers and structures for results stay. No C++ exception leaves the library, and it never prints or exits.
 * - Errors: -EINVAL for arguments that cannot be right; -ENOMEM where memory is lacking, the heap's in the arena too;
 *   -EPERM where the call is not for this place: on an arena of the parent in a fork() child, on a stack inside the
 *   arena; -EDEADLK in a thread that is inside the arena's own gate, where a cut would wait for itself; what the kernel
 *   refused with (-ENOSPC, -EMFILE, ...); -EIO for all else.
 * - What opens has a call that closes, release or close; NULL may be closed. Handles are numbers in the shape of
 *   pointers: never follow one. Using NULL, one that was closed, one of another kind or no handle at all is -EINVAL,
 *   and closing such does nothing: that is known until a handle's place was used 4,294,967,295 times more. What cannot
 *   be known is a handle that one thread closes while another is inside a call with it: that must not happen.
 * - Closing an arena closes its memory: pointers into it end, and its heaps' handles are -EINVAL from then on (close
 *   them too, at any time). Snapshots, clones and views live on.
 * - Any functions may be called by any threads at once; what needs the arena's writers to be quiet says so.
 * - Structures that may grow begin with their size in bytes: the ..._init function sets it, or `s.size = sizeof s`.
 *   Given a larger one than it knows, the library refuses what it does not know with -E2BIG, unless that is zero.
 * - Text and lists that a call gives belong to the caller: cow_free(). Callbacks must return: no longjmp, no exception,
 *   no thread cancellation. They may call the library, with other handles or the same, but must not close the arena
 *   that they were called about; cut hooks are narrower, see there.
 * - What closes or frees leaves errno as it was. Other calls may change errno even where they give 0.
 * - Offsets, sizes and capacities are bytes; an offset counts from cow_arena_data(). Pages are of cow_page_size().
 */
#ifndef COW_COW_H
#define COW_COW_H

#include <stddef.h>
#include <stdint.h>

#define COW_VERSION_MAJOR 0
#define COW_VERSION_MINOR 2
#define COW_VERSION_PATCH 0

#define COW_C_API __attribute__((visibility("default")))
#ifdef __cplusplus
#define COW_C_NOEXCEPT noexcept
extern "C" {
#else
#define COW_C_NOEXCEPT
#endif

typedef struct cow_arena cow_arena;       /* memory that can be snapshotted, rolled back and cloned */
typedef struct cow_snapshot cow_snapshot; /* the content that an arena had at one moment */
typedef struct cow_view cow_view;         /* a read-only mapping of a snapshot */
typedef struct cow_heap cow_heap;         /* a malloc whose whole state lies in an arena */
typedef struct cow_gate cow_gate;         /* keeps updates out for the moment of a snapshot: cow/cow_threads.h */

/* ---- The library ---- */

/* "0.1.0", of the library that is loaded; the macros above are of this header. Cannot fail. */
COW_C_API const char* cow_version(void) COW_C_NOEXCEPT;
/* The same as 10,000 * major + 100 * minor + patch. Cannot fail. */
COW_C_API int cow_version_number(void) COW_C_NOEXCEPT;

/* What the last call that failed in this thread did not get: for people, with operation, names and sizes. "" when none
 * failed yet. Valid until the next call fails in this thread; never NULL. */
COW_C_API const char* cow_last_error(void) COW_C_NOEXCEPT;

/* Gives back text and lists that calls of the library gave. NULL: nothing. */
COW_C_API void cow_free(void* memory) COW_C_NOEXCEPT;

/* Bytes in a page, the unit in which writes are caught: 4,096, 16,384 or 65,536. Async-signal-safe. */
COW_C_API size_t cow_page_size(void) COW_C_NOEXCEPT;

/* ---- Arenas ---- */

/* What makes pages read-only and catches the first write to each. Kept as int, so that values can be added. */
enum cow_barrier {
  COW_BARRIER_MPROTECT = 0,    /* mprotect and SIGSEGV: works everywhere */
  COW_BARRIER_USERFAULTFD = 1, /* cheaper for scattered writes; needs Linux 5.19 and a permissive sandbox */
  COW_BARRIER_AUTOMATIC = 2,   /* the best one of those that can be had; changes where another would cost less */
  COW_BARRIER_KERNEL = 3       /* no signal, no EFAULT; needs Linux 6.7, /proc and quiet cuts: see quiet_cuts */
};

typedef struct cow_arena_options {
  size_t size;                  /* of this structure */
  size_t capacity;              /* address space, rounded up to pages; memory is used only where written. 1 GiB */
  const char* name;             /* shown in /proc/self/maps and in reports; copied. NULL: "cow" */
  void* address;                /* a fixed, page-aligned base (never over another mapping); NULL: anywhere */
  int barrier;                  /* COW_BARRIER_MPROTECT */
  int single_writer;            /* the same as quiet_cuts, by its older name. 0 */
  int in_core_dumps;            /* not 0: core dumps hold the arena, its clones and views. 1 */
  int quiet_cuts;               /* not 0: a promise that no other thread writes while a cut is made. 0 */
  size_t reserve_history_bytes; /* memory that is there for before-images: faults then cannot lack it. 0 */
  cow_gate* gate;               /* keeps that promise: each snapshot, clone and rollback of the arena and its clones is
                                   quiet of this gate, which must stay open as long as any of them. NULL: none */
} cow_arena_options;

/* Fills in what stands behind each member above. The function of this name knows the members up to
 * reserve_history_bytes; the macro, which C and C++ see, hands on how large the structure is for them: so a program
 * that was compiled once goes on with a library whose structure is larger. NULL: nothing. Cannot fail. */
COW_C_API void cow_arena_options_init(cow_arena_options* options) COW_C_NOEXCEPT;
COW_C_API void cow_arena_options_init_sized(cow_arena_options* options, size_t size) COW_C_NOEXCEPT;
#define cow_arena_options_init(options) cow_arena_options_init_sized((options), sizeof(cow_arena_options))

/* A new arena; zero everywhere. NULL: the options as cow_arena_options_init() fills them in. -EINVAL also for a
 * capacity that is 0 or beyond the address space, for an address that is not page-aligned, and for an unknown barrier;
 * -EEXIST where something is mapped at the address. */
COW_C_API int cow_arena_open(const cow_arena_options* options_or_null, cow_arena** arena) COW_C_NOEXCEPT;

/* Unmaps the memory: nobody may use pointers into it any more. Cannot fail. */
COW_C_API void cow_arena_close(cow_arena* arena) COW_C_NOEXCEPT;

/* The first byte. Some nanoseconds; the address does not change while the arena is open. */
COW_C_API void* cow_arena_data(const cow_arena* arena) COW_C_NOEXCEPT;
COW_C_API size_t cow_arena_capacity(const cow_arena* arena) COW_C_NOEXCEPT;
/* As in the options. Valid until the arena is closed. */
COW_C_API const char* cow_arena_name(const cow_arena* arena) COW_C_NOEXCEPT;
/* 1 if the address lies in the arena, else 0. */
COW_C_API int cow_arena_contains(const cow_arena* arena, const void* p) COW_C_NOEXCEPT;
/* The barrier in use: never COW_BARRIER_AUTOMATIC. */
COW_C_API int cow_arena_barrier(const cow_arena* arena) COW_C_NOEXCEPT;
/* 1 if arenas can have this barrier in this process, 0 if not: cow_last_error() then tells why. -EINVAL for a barrier
 * that this library does not know. Cost: that of an arena of one page. */
COW_C_API int cow_barrier_available(int barrier) COW_C_NOEXCEPT;

/* The content as it is now. About a microsecond for each run of pages written since the last one. Other threads may
 * write meanwhile: each of their writes is in the snapshot only if all that happened before it is. */
COW_C_API int cow_arena_snapshot(cow_arena* arena, cow_snapshot** snapshot) COW_C_NOEXCEPT;

/* A new arena with this content at another address: a snapshot and its clone in one step. */
COW_C_API int cow_arena_clone(cow_arena* arena, cow_arena** clone) COW_C_NOEXCEPT;

/* The content becomes the snapshot's, at the same addresses: any snapshot of this arena, older or newer, or the one it
 * was cloned from. Other threads must not write the arena meanwhile. Cost: a copy of each page written since. -EINVAL
 * for a snapshot of another arena. */
COW_C_API int cow_arena_rollback(cow_arena* arena, const cow_snapshot* snapshot) COW_C_NOEXCEPT;

/* memcpy(to, from, n) into the arena without a fault, and without anything for the next snapshot to protect: half a
 * microsecond, and a copy of the page after a snapshot. Beside any threads. With n == 0 nothing is done. */
COW_C_API int cow_arena_write(cow_arena* arena, void* to, const void* from, size_t n) COW_C_NOEXCEPT;

typedef struct cow_write {
  void* to;         /* in the arena */
  const void* from; /* anywhere readable */
  size_t bytes;
} cow_write;

/* Many at once, in order, for the price of one and a copy of each page; any snapshot has all of them or none, and so
 * has the arena when it fails. Where a batch writes to it must not read from. */
COW_C_API int cow_arena_write_batch(cow_arena* arena, const cow_write* writes, size_t count) COW_C_NOEXCEPT;

/* Makes [p, p+n) writable now, without faults: for bulk writes, and for buffers handed to system calls, which fail
 * with EFAULT on a protected page. A later snapshot undoes it. With n == 0 nothing is done. */
COW_C_API int cow_arena_prepare_write(cow_arena* arena, void* p, size_t n) COW_C_NOEXCEPT;

/* 1 if every page of [p, p+n) can be written just now without a fault, 0 if not. A hint: a snapshot in another thread
 * may protect them at any time. -EINVAL for a range that is not in the arena. */
COW_C_API int cow_arena_is_writable(const cow_arena* arena, const void* p, size_t n) COW_C_NOEXCEPT;

/* Makes [p, p+n) writable and calls `call`, which makes one system call into it and gives its result: -1 and errno for
 * a failure. Again from the start while that is EFAULT and pages were protected in between; what `call` gave last is
 * put into *result, and errno left as it was then. For calls that can be repeated: cow/write_guard.hpp tells which. */
COW_C_API int cow_arena_retry_on_efault(cow_arena* arena, void* p, size_t n, int64_t (*call)(void* context),
                                        void* context, int64_t* result) COW_C_NOEXCEPT;

/* Whole pages inside [p, p+n) read as zero again; their memory returns when no snapshot needs it. */
COW_C_API int cow_arena_discard(cow_arena* arena, void* p, size_t n) COW_C_NOEXCEPT;

/* [p, p+n), which must be whole pages, is taken out of snapshots for good: rollback, adopt and merge leave it alone, it
 * is never protected, and reads as zero in snapshots taken from here on; in clones of those it begins as zero, and is
 * excluded too. For coverage maps, statistics, logs. Its content stays. In an arena that holds a heap only pages inside
 * one block of more than 8 KiB, which must never be freed; else -EPERM. */
COW_C_API int cow_arena_exclude(cow_arena* arena, void* p, size_t n) COW_C_NOEXCEPT;

typedef struct cow_page_range {
  size_t first; /* counted in pages from the arena's start */
  size_t count;
} cow_page_range;

/* The pages that may differ from the snapshot's content: sorted, disjoint, a superset of those that do. *ranges has
 * *count of them, for cow_free(); NULL where there are none. -EINVAL for a snapshot of another arena. */
COW_C_API int cow_arena_changed_since(const cow_arena* arena, const cow_snapshot* snapshot, cow_page_range** ranges,
                                      size_t* count) COW_C_NOEXCEPT;

/* Advances with every cut: snapshot, clone, rollback. */
COW_C_API uint64_t cow_arena_epoch(const cow_arena* arena) COW_C_NOEXCEPT;

/* Something that must not be cut in half by a snapshot, such as a lock of the program's own allocator: before() is
 * called before each snapshot, clone, rollback and fork(), after() when it is done or failed, and in_fork_child() in
 * the child of a fork(), where such a lock must be made anew. Any may be NULL. They must not call the library about the
 * same arena. Once in an arena's life; a heap takes the place too: -EBUSY where it is taken. */
typedef struct cow_cut_hook {
  size_t size; /* of this structure */
  void (*before)(void* context);
  void (*after)(void* context);
  void (*in_fork_child)(void* context);
  void* context;
} cow_cut_hook;
COW_C_API int cow_arena_set_cut_hook(cow_arena* arena, const cow_cut_hook* hook) COW_C_NOEXCEPT;

/* ---- Snapshots: immutable; one handle may be used by any threads at once ---- */

/* Drops the handle; the last on a version lets its memory go. Cannot fail. */
COW_C_API void cow_snapshot_release(cow_snapshot* snapshot) COW_C_NOEXCEPT;
/* Another handle on the same version, to be released too. */
COW_C_API int cow_snapshot_retain(const cow_snapshot* snapshot, cow_snapshot** another) COW_C_NOEXCEPT;
/* 1 if both are handles on one version, else 0: an arena that was not written in between gives the same again. */
COW_C_API int cow_snapshot_same(const cow_snapshot* a, const cow_snapshot* b) COW_C_NOEXCEPT;
COW_C_API size_t cow_snapshot_capacity(const cow_snapshot* snapshot) COW_C_NOEXCEPT;

/* A new arena that starts with this content and shares its memory until either side writes; also after the arena is
 * closed. Cost: runs of neighbouring frames. Raw pointers in it still lead to the original. */
COW_C_API int cow_snapshot_clone(const cow_snapshot* snapshot, cow_arena** clone) COW_C_NOEXCEPT;

/* Maps the content read-only at an address of its own. */
COW_C_API int cow_snapshot_view(const cow_snapshot* snapshot, cow_view** view) COW_C_NOEXCEPT;

/* Copies n bytes from `offset` to `out`, which may itself lie in an arena: nothing is mapped. A tenth of a microsecond
 * and the copy, for up to 1 KiB of a page. -EINVAL for a range outside the snapshot. */
COW_C_API int cow_snapshot_read(const cow_snapshot* snapshot, size_t offset, void* out, size_t n) COW_C_NOEXCEPT;

/* Bytes that no one but this version needs: what dropping all handles on it and its views would free. */
COW_C_API int cow_snapshot_exclusive_bytes(const cow_snapshot* snapshot, size_t* bytes) COW_C_NOEXCEPT;

/* ---- Views ---- */

/* Valid until the view is closed; holds its version, also after the snapshot is released and the arena closed. */
COW_C_API const void* cow_view_data(const cow_view* view) COW_C_NOEXCEPT;
COW_C_API size_t cow_view_size(const cow_view* view) COW_C_NOEXCEPT;
/* 1 if the address lies in the view, else 0. */
COW_C_API int cow_view_contains(const cow_view* view, const void* p) COW_C_NOEXCEPT;
/* Unmaps it: nobody may use pointers into it any more. Cannot fail. */
COW_C_API void cow_view_close(cow_view* view) COW_C_NOEXCEPT;

/* ---- The signal handler, for programs that share SIGSEGV and SIGBUS: cow/faults.hpp tells how ---- */

/* 1 if the library's handler is the one that faults reach first, else 0. */
COW_C_API int cow_fault_handler_installed(void) COW_C_NOEXCEPT;
/* Puts it in place, or back in place, in front of what is there. */
COW_C_API int cow_install_fault_handler(void) COW_C_NOEXCEPT;
/* 1 if this fault was a write to an arena and is resolved, so that the handler can return; else 0. `info` is the
 * handler's siginfo_t*. Async-signal-safe; keeps errno. */
COW_C_API int cow_try_handle(int signo, void* info, void* ucontext) COW_C_NOEXCEPT;
/* Whether the one line about a bad access is followed by the call stack. -ENOSYS where the library was built without
 * libunwind. */
COW_C_API int cow_print_backtraces_of_bad_accesses(int on) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#include "cow/cow_files.h"
#include "cow/cow_heap.h"
#include "cow/cow_report.h"
#include "cow/cow_threads.h"
#include "cow/cow_versions.h"

#endif /* COW_COW_H */

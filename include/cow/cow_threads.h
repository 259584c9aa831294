/* What programs with threads want: snapshots between two updates, the same place in a clone, and a check that a clone's
 * thread leaves the original alone. A part of cow/cow.h, whose rules hold here too. */
#ifndef COW_COW_THREADS_H
#define COW_COW_THREADS_H

#include "cow/cow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Gates: a snapshot falls between two updates, and not into the middle of one ----
 * Threads that update begin and end so, for one update or for many, and look between two of them whether someone wants
 * quiet. Whoever takes snapshots has quiet meanwhile, and no longer; an arena that was opened with the gate in its
 * options does that by itself, in each snapshot, clone and rollback.
 *
 * Nobody starves: quiet waits for the updates under way and for who wanted it before; an update waits for one quiet at
 * most. A thread that is inside of either must not wait for another of the same gate: it would wait for itself. Where
 * that is sure, in quiet and in what cuts an arena opened with the gate, the call is -EDEADLK and does nothing.
 * fork(): a child, which has one thread only, needs a new gate. */

COW_C_API int cow_gate_open(cow_gate** gate) COW_C_NOEXCEPT;
/* Once all that began has ended, and all arenas that were opened with it, and their clones, are closed. Cannot fail. */
COW_C_API void cow_gate_close(cow_gate* gate) COW_C_NOEXCEPT;

/* Waits while somebody has quiet; -EDEADLK where that is this thread. Some tens of nanoseconds. */
COW_C_API int cow_gate_begin_updating(cow_gate* gate) COW_C_NOEXCEPT;
/* Between two updates of a thread that has begun: lets whoever wants quiet have it, and waits until it is over; else
 * some nanoseconds. Not for a thread that has not begun: quiet would be given inside the update of another. */
COW_C_API int cow_gate_between_updates(cow_gate* gate) COW_C_NOEXCEPT;
/* In the thread that began. -EPERM where no update has begun. */
COW_C_API int cow_gate_end_updating(cow_gate* gate) COW_C_NOEXCEPT;

/* Waits for the updates under way. Then none is, and all that they wrote is visible to this thread. -EDEADLK: above. */
COW_C_API int cow_gate_begin_quiet(cow_gate* gate) COW_C_NOEXCEPT;
/* -EPERM where nobody has quiet. */
COW_C_API int cow_gate_end_quiet(cow_gate* gate) COW_C_NOEXCEPT;

/* ---- The same place in another arena or view of one family ----
 * Where `arena`, or `view`, has what `original` has at `p`: a clone lies at another address. NULL for NULL; NULL too,
 * with cow_last_error(), where the n bytes at p are not inside the original, or the two are of different families. Raw
 * pointers that lie in the memory itself still lead to the original. Some tens of nanoseconds. */

COW_C_API void* cow_arena_at(const cow_arena* arena, const cow_arena* original, const void* p, size_t n) COW_C_NOEXCEPT;
COW_C_API void* cow_arena_at_of_view(const cow_arena* arena, const cow_view* original, const void* p,
                                     size_t n) COW_C_NOEXCEPT;
COW_C_API const void* cow_view_at(const cow_view* view, const cow_arena* original, const void* p,
                                  size_t n) COW_C_NOEXCEPT;
COW_C_API const void* cow_view_at_of_view(const cow_view* view, const cow_view* original, const void* p,
                                          size_t n) COW_C_NOEXCEPT;

/* ---- Writes that are mistakes ---- */

typedef struct cow_write_refusal cow_write_refusal;

enum cow_refuse_writes {
  COW_REFUSE_THIS_THREAD = 0, /* those of the calling thread: it works on a clone */
  COW_REFUSE_ALL_THREADS = 1
};

/* Until the handle is closed, a plain store to the arena is told in one line on standard error and raises SIGSEGV or
 * SIGBUS as any bad access: for tests and debug builds, where a raw pointer of the original may have been taken along
 * into a clone's thread. Of this thread those are not caught that hit a page which another thread has written in
 * between. Reads, and calls of the library, pass. Cost: a snapshot at the start; nothing then. May outlive the arena; a
 * fork() child is free of it. */
COW_C_API int cow_refuse_writes(cow_arena* original, int of_whom, cow_write_refusal** refusal) COW_C_NOEXCEPT;
/* By any thread. NULL: nothing. Cannot fail. */
COW_C_API void cow_write_refusal_close(cow_write_refusal* refusal) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* COW_COW_THREADS_H */

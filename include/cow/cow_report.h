/* What an arena does and costs, for people and for programs. A part of cow/cow.h, whose rules hold here too. Text comes
 * in *text, ends in '\0', and is for cow_free(). */
#ifndef COW_COW_REPORT_H
#define COW_COW_REPORT_H

#include "cow/cow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The arena's statistics as one JSON object: counters of faults and pages, levels, the time in the handler as a
 * histogram, in ns. Its names are those of ArenaStats in cow/stats.hpp, and stay. */
COW_C_API int cow_arena_stats_json(const cow_arena* arena, char** text) COW_C_NOEXCEPT;

enum cow_report {
  COW_REPORT_STATS = 0,    /* the same for people */
  COW_REPORT_DUMP = 1,     /* where it lies, its snapshots and clones, statistics and page map */
  COW_REPORT_PAGES = 2,    /* a map of its pages in characters */
  COW_REPORT_PAGES_SVG = 3,/* the same as a picture */
  COW_REPORT_MEMORY = 4    /* the memory file's account, a line for each part */
};
/* For people: the form may change. Up to milliseconds. -EINVAL for an unknown report. */
COW_C_API int cow_arena_report(const cow_arena* arena, int report, char** text) COW_C_NOEXCEPT;

/* The memory file that an arena shares with its clones and the snapshots of all of them, in bytes. While nobody writes,
 * the first six less untouched_bytes are kernel_bytes. */
typedef struct cow_memory_account {
  size_t size;                 /* of this structure: set before the call */
  uint64_t live_bytes;         /* pages written by this arena, as it shows them */
  uint64_t relatives_bytes;    /* pages written by the other living arenas of the file */
  uint64_t left_behind_bytes;  /* frames that writers left where they were, for snapshots, views or clones */
  uint64_t history_bytes;      /* before-images in history */
  uint64_t history_free_bytes; /* history frames kept with their memory */
  uint64_t read_only_bytes;    /* never-written pages that were read */
  uint64_t untouched_bytes;    /* to be taken off: pages opened beside a written one, and not touched yet */
  uint64_t kernel_bytes;       /* memory and swap behind the file, as the kernel tells it */
} cow_memory_account;
COW_C_API int cow_arena_memory(const cow_arena* arena, cow_memory_account* account) COW_C_NOEXCEPT;

/* Pages copied since the newest snapshot, and how many of those still are what it shows: neighbours of what was
 * written, copied for nothing until now. About a microsecond a page. */
COW_C_API int cow_arena_copies_since_snapshot(const cow_arena* arena, uint64_t* pages, uint64_t* unchanged)
    COW_C_NOEXCEPT;

/* From now on every nth fault of the process records the call stack of the write; forgets what was recorded before.
 * 0 is taken as 1 and 4,096 stacks. Some microseconds for a recorded fault. */
COW_C_API int cow_fault_profile_start(uint32_t every, size_t most_stacks) COW_C_NOEXCEPT;
COW_C_API void cow_fault_profile_stop(void) COW_C_NOEXCEPT;
/* 1 while it records, else 0. */
COW_C_API int cow_fault_profile_on(void) COW_C_NOEXCEPT;

enum cow_profile_form {
  COW_PROFILE_TABLE = 0,  /* call sites, the most expensive first */
  COW_PROFILE_FOLDED = 1, /* a line for each stack, as flame-graph viewers open it */
  COW_PROFILE_SVG = 2     /* a flame graph */
};
/* What was recorded since the start. Reads symbols from files: up to 100 ms at first. */
COW_C_API int cow_fault_profile_report(int form, char** text) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* COW_COW_REPORT_H */

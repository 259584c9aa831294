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
/* One number of those, by its name: "pages_to_history", or "p99_ns" of the histogram. Counters only grow: what happened
 * between two moments is the difference. -EINVAL for a name that there is not. Some microseconds. */
COW_C_API int cow_arena_stat(const cow_arena* arena, const char* name, uint64_t* value) COW_C_NOEXCEPT;

enum cow_report {
  COW_REPORT_STATS = 0,     /* the same for people */
  COW_REPORT_DUMP = 1,      /* where it lies, its snapshots and clones, statistics and page map */
  COW_REPORT_PAGES = 2,     /* a map of its pages in characters */
  COW_REPORT_PAGES_SVG = 3, /* the same as a picture */
  COW_REPORT_MEMORY = 4     /* the memory file's account, a line for each part */
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
  uint64_t front_bytes;        /* not of the sum: private memory that COW_BARRIER_KERNEL puts before the frames */
} cow_memory_account;
COW_C_API int cow_arena_memory(const cow_arena* arena, cow_memory_account* account) COW_C_NOEXCEPT;

/* ---- Page maps ---- */

enum cow_page_state {
  COW_PAGE_UNWRITTEN = 0, /* never written, or discarded: reads as zero, holds no memory */
  COW_PAGE_PRIVATE = 1,   /* written, and shown by nobody else */
  COW_PAGE_SHARED = 2,    /* written, and shown by snapshots or clones too: the next write copies it */
  COW_PAGE_BORROWED = 3   /* not written since the arena was cloned: shows what it was cloned from */
};

/* Pages that are shared alike. Snapshots are numbered from 1, the oldest alive; a page that one of them shows is shown
 * by all newer ones too. */
typedef struct cow_page_group {
  int state;
  int gone_clones;           /* not 0: snapshots of clones that are gone show them too */
  uint64_t oldest_snapshot;  /* the oldest that shows them; 0: none */
  uint64_t pages;
  const void* const* clones; /* cow_arena_data() of each clone that shows them; NULL: none */
  size_t clone_count;
} cow_page_group;

typedef struct cow_page_run {
  cow_page_range pages;
  size_t group; /* index into groups */
} cow_page_run;

typedef struct cow_page_map {
  size_t size; /* of this structure, as the library knows it */
  uint64_t page_bytes;
  uint64_t pages;
  uint64_t snapshots; /* alive */
  const cow_page_group* groups;
  size_t group_count;
  const cow_page_run* runs; /* sorted, without gaps, over the whole arena */
  size_t run_count;
} cow_page_map;

/* Which pages are the arena's own, which are shared and with whom. *map, with all that it leads to, is one block for
 * cow_free(). Some nanoseconds for each page written, and for each clone. */
COW_C_API int cow_arena_page_map(const cow_arena* arena, cow_page_map** map) COW_C_NOEXCEPT;

typedef struct cow_page_map_style {
  size_t size;    /* of this structure */
  size_t columns; /* characters or squares in a row. 64 */
  size_t rows;    /* at most; a character stands for as many pages as that takes. 16 */
  int colours;    /* not 0: of a terminal; ask isatty(). 0 */
  int svg;        /* not 0: a picture instead of characters. 0 */
} cow_page_map_style;
/* The map for people. NULL: the style as above. */
COW_C_API int cow_arena_draw_pages(const cow_arena* arena, const cow_page_map_style* style_or_null,
                                   char** text) COW_C_NOEXCEPT;

/* Pages copied since the newest snapshot, and how many of those still are what it shows: neighbours of what was
 * written, copied for nothing until now. About a microsecond a page. */
COW_C_API int cow_arena_copies_since_snapshot(const cow_arena* arena, uint64_t* pages, uint64_t* unchanged)
    COW_C_NOEXCEPT;

/* ---- Fault profiles ---- */

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

enum cow_fault_weight {
  COW_WEIGHT_FAULTS = 0,
  COW_WEIGHT_PAGES = 1,
  COW_WEIGHT_NANOSECONDS = 2
};
/* The same, stacks weighed by something else than faults; a table has `most_sites` lines (0: 20), and no weight. */
COW_C_API int cow_fault_profile_report_by(int form, int weight, size_t most_sites, char** text) COW_C_NOEXCEPT;

/* A place in the code, as far as it is known. */
typedef struct cow_code_place {
  const char* function; /* "": unknown */
  const char* file;     /* "": unknown */
  const char* module;   /* the program or library: the last part of its path */
  uint64_t offset;      /* into the function, or into the module where that is not known */
  uint32_t line;        /* 0: unknown */
  int inlined;          /* not 0: into the next place of its stack */
} cow_code_place;

/* The faults of one call stack in arenas of one name. */
typedef struct cow_profiled_stack {
  const char* arena;
  const cow_code_place* places; /* innermost first */
  size_t place_count;
  uint64_t samples;
  uint64_t pages; /* copied by the sampled faults */
  uint64_t ns;    /* spent in the handler by them */
  int cut;        /* not 0: it was deeper than what is kept */
  int reserved;
} cow_profiled_stack;

typedef struct cow_fault_profile {
  size_t size;       /* of this structure, as the library knows it */
  uint64_t every;    /* so many faults a sample */
  uint64_t faults;   /* of the process, since the start: all */
  uint64_t dropped;  /* samples for whose stacks there was no place */
  uint64_t page_bytes;
  const cow_profiled_stack* stacks; /* most expensive first */
  size_t stack_count;
} cow_fault_profile;

/* What was recorded since the start, as data; *profile, with all that it leads to, is one block for cow_free(). */
COW_C_API int cow_fault_profile_get(cow_fault_profile** profile) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* COW_COW_REPORT_H */

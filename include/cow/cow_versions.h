/* Versions of one family - an arena, its clones, their clones, and the snapshots of all of them - compared and put
 * together; and changes that are taken back unless they are committed. A part of cow/cow.h, whose rules hold here too.
 * Versions of different families are -EINVAL. */
#ifndef COW_COW_VERSIONS_H
#define COW_COW_VERSIONS_H

#include "cow/cow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Difference ---- */

/* The pages that may differ between two versions, in any order: sorted, disjoint, a superset of those that do. *ranges
 * has *count of them, for cow_free(); NULL where there are none. Cost: what was written between the two. */
COW_C_API int cow_changed_between(const cow_snapshot* a, const cow_snapshot* b, cow_page_range** ranges,
                                  size_t* count) COW_C_NOEXCEPT;

/* Calls `call` for each run of neighbouring granules that differ, ascending; `before` and `after` are what a and b have
 * there, and last for the call. Not 0 from `call` ends it, and is what this gives. `granule`: a power of two up to the
 * page size; 1 for bytes. A microsecond a page that may differ. */
COW_C_API int cow_for_each_difference(const cow_snapshot* a, const cow_snapshot* b, size_t granule,
                                      int (*call)(void* context, size_t offset, const void* before, const void* after,
                                                  size_t bytes),
                                      void* context) COW_C_NOEXCEPT;

/* ---- Adopt and merge ---- */

/* The content becomes that of any version of the family, a clone's too, at the arena's own addresses. Pages that either
 * side excludes stay what they are. Other threads must not write the arena meanwhile. Cost: a copy of each page that
 * differs. */
COW_C_API int cow_arena_adopt(cow_arena* arena, const cow_snapshot* version) COW_C_NOEXCEPT;

enum cow_on_conflict {
  COW_CONFLICT_REFUSE = 0,     /* nothing is changed at all */
  COW_CONFLICT_KEEP_OURS = 1,  /* the arena's value stays */
  COW_CONFLICT_TAKE_THEIRS = 2 /* theirs is taken */
};

enum cow_merge_rule {
  COW_MERGE_BY_GRANULE = 0, /* as outside of regions */
  COW_MERGE_SUM_I32 = 1,    /* ours + theirs - base */
  COW_MERGE_SUM_I64 = 2,
  COW_MERGE_SUM_F64 = 3,
  COW_MERGE_MIN_I64 = 4, /* the smaller of ours and theirs */
  COW_MERGE_MAX_I64 = 5,
  COW_MERGE_KEEP_OURS = 6, /* the whole region stays as it is */
  COW_MERGE_TAKE_THEIRS = 7
};

/* Bytes with a rule of their own, which never conflict. Of overlapping ones the later wins. */
typedef struct cow_merge_region {
  size_t offset;
  size_t bytes;
  int rule;
  int reserved; /* 0 */
} cow_merge_region;

typedef struct cow_merge_options {
  size_t size;     /* of this structure */
  size_t granule;  /* bytes taken as one: 1, 2, 4, 8, 16, 32 or 64. 8 */
  int on_conflict; /* COW_CONFLICT_REFUSE */
  int reserved;    /* 0 */
  const cow_merge_region* regions;
  size_t region_count; /* 0 */
} cow_merge_options;

/* Fills in what stands above; of this layout for ever. NULL: nothing. Cannot fail. */
COW_C_API void cow_merge_options_init(cow_merge_options* options) COW_C_NOEXCEPT;

typedef struct cow_byte_range {
  size_t offset;
  size_t bytes;
} cow_byte_range;

typedef struct cow_merge_report {
  size_t size;               /* of this structure: set before the call */
  uint64_t pages_taken;      /* pages that only theirs had changed: whole */
  uint64_t pages_merged;     /* pages that both had changed: by granules */
  uint64_t bytes_changed;    /* bytes of the arena that have another value now */
  cow_byte_range* conflicts; /* ascending, resolved ones too; for cow_free(). NULL: none, or no memory */
  size_t conflict_count;
} cow_merge_report;

/* Merges what `theirs` has changed since `base`, a version that both come from, into the arena. 0: done. -ECANCELED:
 * there were conflicts, on_conflict is COW_CONFLICT_REFUSE, and nothing was changed; the report has them. -EPERM where
 * both sides allocated from one heap. Pages that either side excludes stay what they are. Other threads must not write
 * the arena meanwhile. NULL: the usual options, and no report. */
COW_C_API int cow_arena_merge(cow_arena* into, const cow_snapshot* base, const cow_snapshot* theirs,
                              const cow_merge_options* options_or_null,
                              cow_merge_report* report_or_null) COW_C_NOEXCEPT;

/* ---- Transactions ---- */

typedef struct cow_transaction cow_transaction;

/* From here on changes of the arena are taken back unless they are committed. They nest; inner ones end first. The
 * arena must not be closed, and cow_arena_rollback() is -EPERM, while one is open. */
COW_C_API int cow_transaction_begin(cow_arena* arena, cow_transaction** transaction) COW_C_NOEXCEPT;
/* The changes stay, and the handle is closed. -EPERM, and it stays open, while an inner one is open. */
COW_C_API int cow_transaction_commit(cow_transaction* transaction) COW_C_NOEXCEPT;
/* The content at the begin is back, and the handle is closed; on failure it is open, and it can be tried again. -EPERM
 * while an inner one is open. Other threads must not write the arena meanwhile. */
COW_C_API int cow_transaction_roll_back(cow_transaction* transaction) COW_C_NOEXCEPT;
/* Closes what is neither: the changes are taken back. NULL: nothing. */
COW_C_API void cow_transaction_close(cow_transaction* transaction) COW_C_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* COW_COW_VERSIONS_H */

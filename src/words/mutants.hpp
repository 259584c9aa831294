// Named misreadings of the rule, so that the tests can show that they would notice. Compiled in only with
// COW_MUTANTS; otherwise every question is a constant false.
#pragma once

#include <cstddef>

namespace cow {

enum class Mutant {
  none,
  lent_page_stays_home,            // the writer of a lent page copies to history and writes in place
  borrowed_page_counts_as_sole,    // a clone writes a borrowed page in place
  birth_not_advanced,              // a page made writable keeps its old birth
  zero_page_not_logged,            // a first touch leaves no trace in the log
  drop_frees_all,                  // a dropped version frees what an older one still needs
  drop_keeps_all,                  // a dropped version hands everything to the older one
  last_log_wins,                   // resolving prefers the newest log over the first
  loan_ends_with_arena,            // a loan is given back when the clone goes, though its snapshots live
  release_ignores_borrowers,       // an owner frees frames that clones still show
  block_crosses_claims,            // a block takes in pages that another part of the rule decides
  unwritten_shared_version,        // two snapshots are taken for one version though something was written
  failed_sweep_knows_of_drops,     // a sweep that failed takes its mark for one in the logs as they are now
  failed_window_is_forgotten,      // pages that a failed consolidation left protected no longer count as writable
  failed_move_keeps_frames,        // a move that failed does not give its frames back
  failed_discard_keeps_content,    // a discard whose punch is refused leaves what was there
  unwatched_page_is_protected,     // a page that the kernel does not watch counts as protected
  merge_equal_changes_conflict,    // a granule that both sides changed to the same counts as a conflict
  merge_prefers_theirs,            // what both have changed is theirs, though ours is to stay
  merge_sum_forgets_base,          // a sum takes the base in twice
  merge_first_region_wins,         // where regions overlap
  merge_takes_pages_of_both,       // a page that both sides changed is taken whole
  merge_writes_what_it_can,        // conflicts that are refused keep only themselves from being merged
  adopt_skips_zero_pages,          // a page that reads as zero in the version is not adopted
  difference_forgets_ours,         // between two clones only what one of them wrote is named
  excluded_frames_keep_content,    // the frames of pages that were excluded go on holding what they held
  excluded_pages_roll_back,        // a rollback takes pages that were excluded back too
  page_shown_by_clones_stays_home, // a page that clones show is written in place like one that they have left
  old_list_of_runs_is_lent,        // a version is lent as it was listed, though pages of it were written in place since
  count_
};

inline constexpr std::size_t mutant_count = static_cast<std::size_t>(Mutant::count_);

#if defined(COW_MUTANTS)
inline Mutant planted_mutant = Mutant::none;
inline void set_mutant(Mutant m) noexcept { planted_mutant = m; }
inline bool mutant(Mutant m) noexcept { return planted_mutant == m; }

inline const char* mutant_name(std::size_t i) noexcept {
  constexpr const char* names[] = {
      "none", "lent_page_stays_home", "borrowed_page_counts_as_sole", "birth_not_advanced", "zero_page_not_logged",
      "drop_frees_all", "drop_keeps_all", "last_log_wins", "loan_ends_with_arena", "release_ignores_borrowers",
      "block_crosses_claims", "unwritten_shared_version", "failed_sweep_knows_of_drops", "failed_window_is_forgotten",
      "failed_move_keeps_frames", "failed_discard_keeps_content", "unwatched_page_is_protected",
      "merge_equal_changes_conflict", "merge_prefers_theirs", "merge_sum_forgets_base", "merge_first_region_wins",
      "merge_takes_pages_of_both", "merge_writes_what_it_can", "adopt_skips_zero_pages",
      "difference_forgets_ours", "excluded_frames_keep_content", "excluded_pages_roll_back",
      "page_shown_by_clones_stays_home", "old_list_of_runs_is_lent"};
  static_assert(sizeof names / sizeof names[0] == mutant_count);
  return names[i];
}
#else
constexpr bool mutant(Mutant) noexcept { return false; }
#endif

}  // namespace cow

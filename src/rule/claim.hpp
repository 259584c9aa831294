// What a write to a page needs, by the books alone: pure, and the bottom of this folder. Runs in the signal handler.
#pragma once

#include "books/arena_books.hpp"
#include "words/units.hpp"

namespace cow {

/// What a page needs before it can be written.
enum class Claim {
  none,         // it can be written already
  first_touch,  // never written: there is no content to keep
  sole_owner,   // nobody else needs the frame: no copy
  move,         // the frame may be mapped elsewhere: the writer moves to a frame of its own
  history,      // only a snapshot needs the content: the before-image goes to history
  excluded,     // nothing ever: it is never protected, and no version has it
};

/// The fault lock is held.
Claim claim_of(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED;

/// Has the processor fetch what claim_of() asks of a page of its own, where that is at home.
void fetch_claim_ahead(const ArenaBooks& books, Page p) noexcept;

/// The run of pages from `first` on that share its claim.
Pages run_of_claim(const ArenaBooks& books, Page first, Page end, Claim claim) noexcept COW_FAULT_LOCKED;

/// Counts pages that were made an arena's own, by what they needed.
void count(FaultCounters& counters, Claim claim, std::uint64_t pages) noexcept;

}  // namespace cow

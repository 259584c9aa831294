// Claims. See rule/claim.hpp.
#include "rule/claim.hpp"

#include "words/mutants.hpp"

namespace cow {

namespace {

/// By somebody who tells nobody which pages he shows. Whoever does that keeps the version, so that the frame is needed.
bool may_be_viewed(const ArenaBooks& books, Epoch birth, bool needed) noexcept {
  return needed && birth.value <= books.lender.whole_epoch.load(std::memory_order_relaxed);
}

/// Clones show a frame until each of them has left it, and all that came of them.
bool is_shown_by_clones(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  FaultLockHeld held(books.family.file.lock());
  return books.family.lending.borrowers_of(books.frame_of(p)) != 0 &&
         !mutant(Mutant::page_shown_by_clones_stays_home);
}

}  // namespace

Claim claim_of(const ArenaBooks& books, Page p) noexcept {
  if (books.is_excluded(p)) return Claim::excluded;
  if (books.writable.contains(p)) return Claim::none;
  if (books.fronts.unshared.contains(p)) return Claim::move;  // only a new mapping shows a frame there
  const Epoch birth = books.birth_of(p);
  if (birth == never_written || books.blank.contains(p)) return Claim::first_touch;
  if (birth == borrowed_birth) return mutant(Mutant::borrowed_page_counts_as_sole) ? Claim::sole_owner : Claim::move;
  const bool lent =
      birth.value <= books.lender.lent_epoch.load(std::memory_order_relaxed) && !mutant(Mutant::lent_page_stays_home);
  const bool needed = birth <= books.newest_epoch();
  if (lent && (may_be_viewed(books, birth, needed) || is_shown_by_clones(books, p))) return Claim::move;
  return needed ? Claim::history : Claim::sole_owner;
}

/// Nothing is read.
void fetch_claim_ahead(const ArenaBooks& books, Page p) noexcept COW_HELD_UNCHECKED {
  books.table.fetch_ahead(p);
  books.home->shown.fetch_ahead(p);
}

void count(FaultCounters& counters, Claim claim, std::uint64_t pages) noexcept {
  switch (claim) {
    case Claim::none:
    case Claim::excluded: break;
    case Claim::first_touch: counters.first_touch += pages; break;
    case Claim::sole_owner: counters.sole_owner += pages; break;
    case Claim::move: counters.moved += pages; break;
    case Claim::history: counters.to_history += pages; break;
  }
}

Pages run_of_claim(const ArenaBooks& books, Page first, Page end, Claim claim) noexcept {
  Page p = first + 1;
  while (p < end && claim_of(books, p) == claim) ++p;
  return {first, p - first};
}

}  // namespace cow

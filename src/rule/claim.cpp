// Claims. See rule/claim.hpp.
#include "rule/claim.hpp"

#include "words/mutants.hpp"

namespace cow {

Claim claim_of(const ArenaBooks& books, Page p) noexcept {
  if (books.is_excluded(p)) return Claim::excluded;
  if (books.writable.contains(p)) return Claim::none;
  if (books.fronts.unshared.contains(p)) return Claim::move;  // only a new mapping shows a frame there
  const Epoch birth = books.birth_of(p);
  if (birth == never_written || books.blank.contains(p)) return Claim::first_touch;
  if (birth == borrowed_birth) return mutant(Mutant::borrowed_page_counts_as_sole) ? Claim::sole_owner : Claim::move;
  const bool lent =
      birth.value <= books.lender.lent_epoch.load(std::memory_order_relaxed) && !mutant(Mutant::lent_page_stays_home);
  if (birth <= books.newest_epoch()) return lent ? Claim::move : Claim::history;
  if (!lent) return Claim::sole_owner;
  // No version needs the frame, but clones that started from one may: unless each of them has left it.
  FaultLockHeld held(books.family.file.lock());
  return books.family.lending.borrowers_of(p, books.frame_of(p)) == 0 ? Claim::sole_owner : Claim::move;
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

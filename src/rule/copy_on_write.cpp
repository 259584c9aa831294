// The rule, for faults first; see rule/copy_on_write.hpp for what holds in all of them.
#include "rule/copy_on_write.hpp"

#include <algorithm>

#include "barrier/barrier.hpp"
#include "rule/claim.hpp"
#include "rule/close_again.hpp"
#include "rule/consolidate.hpp"
#include "rule/make_private.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

/// A first touch costs no copy, so that neighbours come along: they may never be needed, but a fault costs more.
constexpr std::uint64_t first_touch_block = 16;

Pages clipped_to_claim(const ArenaBooks& books, Page p, Pages block, Claim claim) noexcept COW_FAULT_LOCKED {
  Page first = p, end = p + 1;
  const auto joins = [&](Page q) COW_FAULT_LOCKED {
    return mutant(Mutant::block_crosses_claims) || claim_of(books, q) == claim;
  };
  while (first > block.first && joins(first - 1)) first = first - 1;
  while (end < block.end() && joins(end)) ++end;
  return {first, end - first};
}

/// For a first touch the block is longer, and aligned unless it continues a stream.
Pages longer_block(Page p, Pages block, std::uint64_t pages) noexcept {
  const bool stream = block.count > 1;
  const std::uint64_t count = stream ? block.count * 8 : first_touch_block;
  const std::uint64_t first = stream
                                  ? (block.first < p ? block.end().value - std::min(count, block.end().value) : p.value)
                                  : p.value / first_touch_block * first_touch_block;
  return {{first}, std::min(count, pages - first)};
}

Pages block_around(ArenaBooks& books, Page p, Claim claim) noexcept COW_FAULT_LOCKED {
  Pages block = books.blocks.block_for(p, books.pages);
  if (claim == Claim::first_touch) block = longer_block(p, block, books.pages);
  block = clipped_to_claim(books, p, block, claim);
  books.blocks.granted(block);
  return block;
}

os::Error make_run_writable(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED {
  if (claim == Claim::excluded) return {};
  if (claim == Claim::none) return books.half_protected ? books.barrier->unprotect(books, run, true) : os::Error{};
  return make_private(books, run, claim);
}

/// Where the process has few mappings left: makes page p writable together with a window round it, for fewer of them.
/// Where that failed on the way the page's claim may be another one.
bool consolidated_in_time(ArenaBooks& books, Page p, Claim& claim) noexcept COW_FAULT_LOCKED {
  if (!MappingBudget::is_short()) return false;
  const Pages window = crowded_window(books, p);
  if (window.count == 0) return false;
  if (!consolidate(books, window)) return true;
  claim = claim_of(books, p);
  return false;
}

/// Where nobody waits in a fault, a lack of memory can be told.
os::Error give_memory_to_what_is_copied(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED {
  return claim == Claim::history || claim == Claim::move ? give_memory(books, run) : os::Error{};
}

/// A consolidation that failed may have left pages protected that count as writable, and were made so before it.
os::Error open_what_is_half_protected(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (!books.half_protected) return {};
  for (Page p = run.first; p < run.end();) {
    const Pages open = *books.writable.runs({p, run.end() - p}).begin();
    if (open.count == 0) break;
    p = open.end();
    if (const os::Error error = books.barrier->unprotect(books, open, false)) {
      if (const os::Error failed = consolidate_until_it_fits(books, open.first, error)) return failed;
      p = open.first + 1;
    }
  }
  return {};
}

/// The page counts as writable: another thread's fault has made it so, or a failure left it protected.
os::Error open_what_is_writable(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  ++books.faults_already_done;
  const os::Error error = make_run_writable(books, {p, 1}, Claim::none);
  return error ? consolidate_until_it_fits(books, p, error) : error;
}

/// For rollbacks: see arena/came_along.hpp.
void note_what_came_along(ArenaBooks& books, Pages block, Page p) noexcept COW_FAULT_LOCKED {
  PageSet& unseen = books.came_along.unseen;
  if (block.count > 1) unseen.insert(block);
  if (!unseen.empty()) unseen.erase({p, 1});
}

}  // namespace

os::Error open_all_half_protected(ArenaBooks& books) noexcept {
  if (!books.half_protected) return {};
  const os::Error error = books.barrier->open_all(books);
  books.half_protected = static_cast<bool>(error);
  return error;
}

os::Result<Caught> make_writable_for_fault(ArenaBooks& books, Page p) noexcept {
  if (books.barrier->collects) return {Caught::writable_before, open_all_half_protected(books)};
  Claim claim = claim_of(books, p);
  if (claim == Claim::excluded) return {Caught::writable_before, {}};  // stored to while it was being excluded
  if (claim == Claim::none) return {Caught::writable_before, open_what_is_writable(books, p)};
  count(books.faults, claim, 1);
  if (consolidated_in_time(books, p, claim)) return {Caught::protected_before, {}};
  close_some_if_few_are_left(books, {p, 1});
  const Pages block = block_around(books, p, claim);
  const os::Error error = make_run_writable(books, block, claim);
  if (!error) note_what_came_along(books, block, p);
  return {Caught::protected_before, error ? consolidate_until_it_fits(books, p, error) : error};
}

os::Error make_writable(ArenaBooks& books, Pages run, Untouched untouched) noexcept {
  for (Page p = run.first; p < run.end();) {
    Claim claim = claim_of(books, p);
    if (claim == Claim::first_touch && untouched == Untouched::left) {
      ++p;
      continue;
    }
    if (claim == Claim::move && consolidated_in_time(books, p, claim)) continue;
    const Pages part = run_of_claim(books, p, run.end(), claim);
    if (const os::Error error = give_memory_to_what_is_copied(books, part, claim)) return error;
    if (os::Error error = make_run_writable(books, part, claim)) {
      error = consolidate_until_it_fits(books, p, error);
      if (error) return error;
      continue;  // page p is writable now; its neighbours may be
    }
    p = part.end();
  }
  return open_what_is_half_protected(books, run);
}

void make_blank(ArenaBooks& books, Pages run) noexcept {
  for (Page p = run.first; p < run.end();) {
    const Claim claim = claim_of(books, p);
    const Pages part = run_of_claim(books, p, run.end(), claim);
    if (claim == Claim::none) make_private_blank(books, part);  // else it reads as zero already
    p = part.end();
  }
  books.prepared.erase(run);
}

}  // namespace cow

// Versions are lent and released. See arena/lifetime.hpp.
#include <algorithm>

#include "arena/change_barrier.hpp"
#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "arena/take_version.hpp"
#include "barrier/barrier.hpp"
#include "barrier/saved_mapping.hpp"
#include "books/versions.hpp"
#include "faults/registry.hpp"
#include "rule/copy_ahead.hpp"
#include "words/mutants.hpp"

namespace cow {

namespace {

constexpr std::uint64_t fewest_runs = 16;      // however many clones and views there are
/// One clone or view takes at most this part of the mappings that are left.
constexpr std::uint64_t share_of_budget = 32;
/// What lies in saved files takes no memory there, and would as a copy: a clone that shows it may take more.
constexpr std::uint64_t times_for_saved = 4;

/// What a version's list of runs is when it is lent.
enum class Listed {
  before,    // others have the version on loan too, and its list is theirs
  outdated,  // the same, but pages have been written in place since
  now,       // there was none
};

struct Lent {
  Loan* loan = nullptr;
  Listed listed = Listed::before;
};

/// Whether a clone can map the version as it is, in at most so many mappings.
bool can_be_mapped(const Version& version, std::uint64_t most) noexcept COW_IN_OPERATION {
  const ArenaBooks& books = version.books;
  const std::uint64_t mappings = version.runs.mappings(books.pages);
  if (!scattered_in_saved_files(books.family.file, version.runs)) return mappings <= most;
  return books.barrier->collects ? mappings <= times_for_saved * most : mappings_with_copies(version.runs) <= most;
}

}  // namespace

/// While all of it is on loan no page is written in place; while clones have it, those may be that they have left.
bool runs_are_right(const Version& version) noexcept {
  const ArenaBooks& books = version.books;
  if (Lending::lent_as_a_whole(books.lender, version.epoch)) return true;
  if (!Lending::lent(books.lender, version.epoch)) return false;
  return version.listed_at == books.lent_pages_kept || mutant(Mutant::old_list_of_runs_is_lent);
}

namespace {

Listed how_listed(const Version& version) noexcept COW_IN_OPERATION COW_FAULT_LOCKED COW_FILE_LOCKED {
  if (version.runs.empty()) return Listed::now;
  if (!version.books.mapped() || runs_are_right(version)) return Listed::before;
  return Lending::lent(version.books.lender, version.epoch) ? Listed::outdated : Listed::now;
}

/// The fault lock is held.
os::Error list_now(Version& version) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  version.runs = RunList{};
  RunList runs;
  os::Error error = sweep_logs(version, log_end(version.books));
  if (!error) error = list_runs(version, runs);
  if (!error) version.runs = std::move(runs);
  return error;
}

/// The fault lock is held. The frames stay from here on: writers of lent pages move. `mended`: a list that is outdated
/// is left so, with the logs swept.
os::Result<Lent> lend_locked(Version& version, bool mended) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  ArenaBooks& books = version.books;
  Family& family = books.family;
  const bool living = books.mapped();
  Lent lent;
  os::Error error;
  {
    FaultLockHeld held(family.file.lock());
    lent.listed = how_listed(version);
    if (lent.listed == Listed::outdated && !mended) lent.listed = Listed::now;
    error = family.lending.make_room_for_loan();
    if (!error) lent.loan = family.lending.lend(living ? &books.lender : nullptr, version.epoch, books.loan);
  }
  if (!error && lent.listed != Listed::before) {
    error = lent.listed == Listed::now ? list_now(version) : sweep_logs(version, log_end(books));
    version.listed_at = books.lent_pages_kept & ~std::uint64_t{0} >> 1;  // it never gets there
  }
  if (error && lent.listed != Listed::before) version.runs = RunList{};
  if (error && lent.loan != nullptr) give_back_loan(family, lent.loan);
  return {lent, error};
}

}  // namespace

LentVersion take_and_lend(ArenaBooks& books) noexcept {
  // No page stays writable. Another thread may be writing, whatever was promised, since it may be any that forks.
  const bool quiet = books.barrier->collects && process_has_one_thread();
  const os::Result<Version*> version =
      take_version_locked(books, quiet, books.slot->refusals != nullptr ? why_refusal : why_not_quiet);
  if (!version) return {};
  const os::Result<Lent> lent = lend_locked(*version.value, false);
  return {version.value, lent ? lent.value.loan : nullptr};
}

namespace {

/// What may be the last handle.
void release_last(Version& version) noexcept {
  ArenaBooks& books = version.books;
  const os::AsyncSignalsBlocked blocked;
  FrameFile* file = nullptr;
  bool last = false;
  {
    const Operation operation(books, blocked);
    if (version.handles.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // someone took it up again meanwhile
    drop_version(version);
    last = !books.mapped() && books.versions.empty();
    file = &books.family.file;
    if (!last) file->trim();
  }
  if (last) destroy_books(&books);
}

}  // namespace

os::Error check_barrier(ArenaBooks& books) noexcept {
  const FaultLockGuard guard(*books.fault_lock);
  return books.barrier->check(books);
}

void release_version(Version* version) noexcept {
  if (version == nullptr || !of_this_process(version->books)) return;
  std::uint64_t handles = version->handles.load(std::memory_order_relaxed);
  while (handles > 1) {
    if (version->handles.compare_exchange_weak(handles, handles - 1, std::memory_order_acq_rel)) return;
  }
  on_ordinary_stack([&] { release_last(*version); });
}

std::uint64_t fair_share_of_mappings() noexcept {
  return std::max(fewest_runs, MappingBudget::left() / share_of_budget);
}

namespace {

/// Beside writers, who leave alone what is on loan. Where copies are there already that leave too many mappings all the
/// same, others may show those by now: then all is listed, and copied, anew.
os::Error mend_runs(Version& version, std::uint64_t most) noexcept COW_IN_OPERATION {
  ArenaBooks& books = version.books;
  os::Error error = bring_up_to_date(version);
  const std::uint64_t enough = std::min(most, fair_share_of_mappings());
  if (!error && (version.flattened.empty() || can_be_mapped(version, enough))) return {};
  if (!error) {
    FaultLockHeld held(*books.fault_lock);
    error = list_now(version);
  }
  if (error) return version.runs = RunList{}, error;
  release_flattened(version);
  return {};
}

}  // namespace

os::Result<Loan*> lend_version(Version& version, std::uint64_t most) noexcept {
  ArenaBooks& books = version.books;
  const LogEnd end = log_end_now(books);
  // Most of it, without keeping writers waiting.
  if (const os::Error error = sweep_logs(version, end)) return {nullptr, error};
  os::Result<Lent> lent;
  {
    FaultLockHeld held(*books.fault_lock);
    lent = lend_locked(version, true);
  }
  if (!lent) return {nullptr, lent.error};
  if (lent.value.listed == Listed::now) release_flattened(version);  // who shows copies of earlier loans keeps those
  os::Error error = lent.value.listed == Listed::outdated ? mend_runs(version, most) : os::Error{};
  if (!error && !can_be_mapped(version, most)) error = flatten(version, most);
  if (error) return give_back_loan(books.family, lent.value.loan), os::Result<Loan*>{nullptr, error};
  return {lent.value.loan, {}};
}

void give_back_loan(Family& family, Loan* loan) noexcept {
  FaultLockHeld held(family.file.lock());
  family.lending.give_back(loan);
}

}  // namespace cow

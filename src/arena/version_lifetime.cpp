// Versions are taken, lent and released. See arena/lifetime.hpp.
#include <algorithm>

#include <cerrno>

#include "arena/change_barrier.hpp"
#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "books/versions.hpp"
#include "rule/collect.hpp"
#include "rule/consolidate.hpp"
#include "rule/copy_ahead.hpp"
#include "rule/go_home.hpp"
#include "words/mutants.hpp"

namespace cow {

namespace {

constexpr std::uint64_t fewest_runs = 16;      // however many clones and views there are
/// One clone or view takes at most this part of the mappings that are left.
constexpr std::uint64_t share_of_budget = 32;
constexpr std::uint64_t share_of_arena = 8;    // moved pages of one arena may split it into this part

/// `quiet`: no other thread can be writing the pages that stayed writable.
bool unwritten_since_newest(const ArenaBooks& books, bool quiet) noexcept COW_FAULT_LOCKED {
  if (books.newest == nullptr || books.newest->epoch + 1 != books.epoch) return false;
  if (books.written && !mutant(Mutant::unwritten_shared_version)) return false;
  return books.staying.empty() || (quiet && staying_pages_unchanged(books));
}

/// The cut. The fault lock is held: whoever writes a page that is protected already waits for it in the handler.
os::Error begin_epoch(ArenaBooks& books, Version& version, bool quiet) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  BookVector<Pages> homecomers;
  list_homecomers(books, homecomers);
  CopyAhead ahead(books, quiet);
  if (const os::Error error = ahead.make_room()) return error;
  if (const os::Error error = books.barrier->protect_written(books, ahead.pages())) {
    return books.half_protected = true, error;
  }
  ahead.protected_others();
  books.half_protected = books.half_protected && !ahead.pages().empty();
  books.written = false;
  ++books.epoch;
  books.versions.push_back(version);
  books.newest = &version;
  ahead.copy();
  go_home(books, homecomers);
  return {};
}

/// The same where all that was written has been collected: nothing is writable.
void begin_epoch_collected(ArenaBooks& books, Version& version) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  books.written = false;
  ++books.epoch;
  books.versions.push_back(version);
  books.newest = &version;
}

/// Under the kernel barrier: the frames hold the content afterwards, or another barrier catches writes from here on.
os::Error collect_or_change(ArenaBooks& books, bool quiet) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  if (!books.barrier->collects) return {};
  if (!quiet) return change_to_signals(books, why_not_quiet);
  if (const os::Error error = collect(books)) return error;
#if !defined(NDEBUG)
  if (written_during_the_cut(books)) return {EBUSY};
#endif
  drop_cold_fronts(books);
  return {};
}

/// The fault lock is held.
os::Result<Version*> take_version_locked(ArenaBooks& books, bool quiet) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  if (const os::Error error = books.barrier->check(books)) return {nullptr, error};
  if (const os::Error error = collect_or_change(books, quiet)) return {nullptr, error};
  if (unwritten_since_newest(books, quiet)) {
    books.newest->handles.fetch_add(1, std::memory_order_relaxed);
    return {books.newest, {}};
  }
  if (const os::Error error = books.version_memory.make_room(1)) return {nullptr, error};
  if (!books.barrier->collects) defragment(books, MappingBudget::left() / share_of_arena);
  const std::uint64_t name = books.family.next_version.fetch_add(1, std::memory_order_relaxed);
  Version* const version = ::new (books.version_memory.take()) Version(books, books.epoch, name);
  if (books.barrier->collects) return begin_epoch_collected(books, *version), os::Result<Version*>{version, {}};
  const os::Error error = begin_epoch(books, *version, quiet);
  if (!error) return {version, {}};
  books.written = true;  // what stays writable was chosen anew: the newest version may not have copies of it
  version->~Version();
  books.version_memory.give_back(version);
  return {nullptr, error};
}

struct Lent {
  Loan* loan = nullptr;
  bool listed_now = false;  // else others have the version on loan too, and its list of runs is theirs
};

/// The fault lock is held. The frames stay from here on: writers of lent pages move.
os::Result<Lent> lend_locked(Version& version) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  ArenaBooks& books = version.books;
  Family& family = books.family;
  const bool living = books.mapped();
  Lent lent;
  os::Error error;
  {
    FaultLockHeld held(family.file.lock());
    lent.listed_now = version.runs.empty() || (living && !Lending::lent(books.lender, version.epoch));
    error = family.lending.make_room_for_loan();
    if (!error) lent.loan = family.lending.lend(living ? &books.lender : nullptr, version.epoch, books.loan);
  }
  if (!error && lent.listed_now) {
    version.runs = RunList{};
    error = sweep_logs(version, log_end(books));
    if (!error) error = list_runs(version, version.runs);
  }
  if (error && lent.listed_now) version.runs = RunList{};
  if (error && lent.loan != nullptr) give_back_loan(family, lent.loan);
  return {lent, error};
}

}  // namespace

os::Result<Version*> take_version_or_error(ArenaBooks& books, PagesLeftOpen left) noexcept {
  FaultLockHeld held(*books.fault_lock);
  const bool quiet = left == PagesLeftOpen::recurring && nobody_else_writes(books);
  const os::Result<Version*> version = take_version_locked(books, quiet);
  if (version && quiet) change_if_better(books);
  if (version && !quiet) leave_mprotect_for_threads(books);
  return version;
}

Version* take_version(ArenaBooks& books, PagesLeftOpen left) {
  const os::Result<Version*> version = take_version_or_error(books, left);
  if (version.error.code == EBUSY) {
    throw std::logic_error("cow: snapshot: another thread wrote meanwhile, though quiet cuts were promised");
  }
  throw_if(version.error, [&] { return "snapshot of an arena of " + in_bytes(books.bytes(books.pages)); });
  return version.value;
}

LentVersion take_and_lend(ArenaBooks& books) noexcept {
  // No page stays writable. Another thread may be writing, whatever was promised, since it may be any that forks.
  const os::Result<Version*> version = take_version_locked(books, books.barrier->collects && process_has_one_thread());
  if (!version) return {};
  const os::Result<Lent> lent = lend_locked(*version.value);
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
    const Operation operation(books);
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

os::Result<Loan*> lend_version(Version& version, std::uint64_t most) noexcept {
  ArenaBooks& books = version.books;
  LogEnd end;
  {
    FaultLockHeld held(*books.fault_lock);
    end = log_end(books);
  }
  // Most of it, without keeping writers waiting.
  if (const os::Error error = sweep_logs(version, end)) return {nullptr, error};
  os::Result<Lent> lent;
  {
    FaultLockHeld held(*books.fault_lock);
    lent = lend_locked(version);
  }
  if (!lent) return {nullptr, lent.error};
  if (lent.value.listed_now) release_flattened(version);  // nobody shows the copies of earlier loans
  const os::Error error = flatten(version, most);
  if (error) return give_back_loan(books.family, lent.value.loan), os::Result<Loan*>{nullptr, error};
  return {lent.value.loan, {}};
}

void give_back_loan(Family& family, Loan* loan) noexcept {
  FaultLockHeld held(family.file.lock());
  family.lending.give_back(loan);
}

}  // namespace cow

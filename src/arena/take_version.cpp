// The cut, from top to bottom: see arena/take_version.hpp.
#include "arena/take_version.hpp"

#include <cerrno>
#include <new>
#include <stdexcept>

#include "arena/change_barrier.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "faults/registry.hpp"
#include "rule/collect.hpp"
#include "rule/consolidate.hpp"
#include "rule/copy_ahead.hpp"
#include "rule/copy_on_write.hpp"
#include "rule/go_home.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

constexpr std::uint64_t share_of_arena = 8;  // moved pages of one arena may split it into this part of the budget

/// `quiet`: no other thread can be writing the pages that stayed writable.
bool unwritten_since_newest(const ArenaBooks& books, bool quiet) noexcept COW_FAULT_LOCKED {
  if (books.newest == nullptr || books.newest->epoch + 1 != books.epoch) return false;
  if (books.written && !mutant(Mutant::unwritten_shared_version)) return false;
  return books.staying.empty() || (quiet && staying_pages_unchanged(books));
}

/// The cut. The fault lock is held: whoever writes a page that is protected already waits for it in the handler.
os::Error begin_epoch(ArenaBooks& books, Version& version, bool quiet) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  CopyAhead ahead(books, quiet);
  if (const os::Error error = ahead.make_room()) return error;
  if (const os::Error error = books.barrier->protect_written(books, ahead.pages())) {
    return books.half_protected = true, error;
  }
  ahead.protected_others();
  books.half_protected = books.half_protected && !ahead.pages().empty();
  books.written = false;
  ++books.epoch;
  books.came_along.forget();
  books.versions.push_back(version);
  books.newest = &version;
  ahead.copy();
  go_home(books);
  books.prepared.clear();
  return {};
}

/// The same where all that was written has been collected: nothing is writable.
void begin_epoch_collected(ArenaBooks& books, Version& version) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  books.written = false;
  ++books.epoch;
  books.versions.push_back(version);
  books.newest = &version;
  books.prepared.clear();
}

/// Where no writes are caught: the frames hold the content afterwards, or another barrier catches writes from here on.
os::Error collect_or_change(ArenaBooks& books, bool quiet, const char* why) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  if (!books.barrier->collects) return {};
  if (const os::Error error = open_all_half_protected(books)) return error;
  if (!quiet || is_plain(books)) return change_to_signals(books, why);
  if (const os::Error error = collect(books)) return error;
#if !defined(NDEBUG)
  if (written_during_the_cut(books)) return {EBUSY};
#endif
  drop_cold_fronts(books);
  return {};
}

void put_in_force(detail::WriteRefusal& refusal) noexcept COW_FAULT_LOCKED {
  refusal.next = refusal.slot.refusals;
  refusal.slot.refusals = &refusal;
}

}  // namespace

os::Result<Version*> take_version_locked(ArenaBooks& books, bool quiet,
                                         const char* why) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  if (const os::Error error = books.barrier->check(books)) return {nullptr, error};
  // First of all: a plain arena whose first cut fails stays plain.
  if (const os::Error error = books.version_memory.make_room(1)) return {nullptr, error};
  if (const os::Error error = collect_or_change(books, quiet, why)) return {nullptr, error};
  if (unwritten_since_newest(books, quiet)) {
    books.newest->handles.fetch_add(1, std::memory_order_relaxed);
    return {books.newest, {}};
  }
  if (books.barrier->collects) {
    go_home(books);  // before there is the version: what shows the frames away is older
  } else {
    defragment(books, MappingBudget::left() / share_of_arena);
  }
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

os::Result<Version*> take_version_or_error(ArenaBooks& books, detail::WriteRefusal* refusal) noexcept {
  FaultLockHeld held(*books.fault_lock);
  const bool quiet = refusal == nullptr && nobody_else_writes(books);
  const bool refused = refusal != nullptr || books.slot->refusals != nullptr;
  const os::Result<Version*> version = take_version_locked(books, quiet, refused ? why_refusal : why_not_quiet);
  if (version && refusal != nullptr) put_in_force(*refusal);
  if (version && quiet) change_if_better(books);
  if (version && !quiet) leave_mprotect_for_threads(books);
  return version;
}

Version* take_version(ArenaBooks& books, detail::WriteRefusal* refusal) {
  const os::Result<Version*> version = take_version_or_error(books, refusal);
  if (version.error.code == EBUSY) {
    throw std::logic_error("cow: snapshot: another thread wrote meanwhile, though quiet cuts were promised");
  }
  throw_if(version.error, [&] { return "snapshot of an arena of " + in_bytes(books.bytes(books.pages)); });
  return version.value;
}

}  // namespace cow

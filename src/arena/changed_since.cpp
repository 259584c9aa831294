// See arena/changed_since.hpp.
#include "arena/changed_since.hpp"

#include <algorithm>
#include <cstring>

#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "books/versions.hpp"
#include "kernel/copy_page.hpp"
#include "rule/copy_ahead.hpp"

namespace cow {

os::Error list_own_pages(const ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  for (Pages run = books.own.next_run({0}); run.count != 0; run = books.own.next_run(run.end())) {
    if (const os::Error error = runs.push_back(run)) return error;
  }
  return {};
}

namespace {

/// Under the kernel barrier: what no cut has collected yet. The result is sorted, and disjoint, again.
os::Error add_uncollected(ArenaBooks& books, BookVector<Pages>& changed) noexcept COW_IN_OPERATION {
  if (!books.barrier->collects) return {};
  {
    FaultLockHeld held(*books.fault_lock);
    if (const os::Error error = fronts::list_written(books, changed)) return error;
  }
  fronts::make_disjoint(changed);
  return {};
}

/// Others may be writing the page: each part is copied first, and either moment of it is a right one.
bool shows_what_is_kept(const ArenaBooks& books, const KeptPage& kept) noexcept {
  if (!History::owns(kept.frame)) return false;
  constexpr std::size_t at_once = 512;
  std::byte part[at_once];
  const std::byte *const at = books.address_of(kept.page), *const old = books.family.file.history().address(kept.frame);
  for (std::size_t done = 0; done < books.bytes(1); done += at_once) {
    copy_bytes(part, at + done, at_once);
    if (std::memcmp(part, old + done, at_once) != 0) return false;
  }
  return true;
}

/// In the log without having been written. Without the fault lock: which pages stay is chosen at cuts alone, and the
/// operation mutex keeps those out.
bool was_copied_ahead_only(const ArenaBooks& books, const KeptPage& kept) noexcept COW_IN_OPERATION COW_HELD_UNCHECKED {
  return books.staying.contains(kept.page) && shows_what_is_kept(books, kept);
}

}  // namespace

os::Error list_changed(Version& version, BookVector<Pages>& changed) {
  const Operation operation(version.books);
  if (const os::Error error = sweep_now(version)) return error;
  const bool quiet = nobody_else_writes(version.books);
  for (const KeptPage& kept : version.kept) {
    if (quiet && was_copied_ahead_only(version.books, kept)) continue;
    if (!changed.empty() && changed.back().end() == kept.page) {
      ++changed.back().count;
    } else if (const os::Error error = changed.push_back({kept.page, 1})) {
      return error;
    }
  }
  return add_uncollected(version.books, changed);
}

os::Error list_changed_since_base(ArenaBooks& books, BookVector<Pages>& changed) {
  const Operation operation(books);
  {
    FaultLockHeld held(*books.fault_lock);
    if (const os::Error error = list_own_pages(books, changed)) return error;
  }
  return add_uncollected(books, changed);
}

}  // namespace cow

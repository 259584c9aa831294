// Arena::stats().
#include <algorithm>

#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "cow/arena.hpp"
#include "fork/children.hpp"

namespace cow {
namespace {

void add_counters(const ArenaBooks& books, ArenaStats& stats) noexcept COW_FAULT_LOCKED {
  stats.faults_first_touch = books.faults.first_touch;
  stats.faults_sole_owner = books.faults.sole_owner;
  stats.faults_moved = books.faults.moved;
  stats.faults_to_history = books.faults.to_history;
  stats.faults_already_done = books.faults_already_done;
  stats.pages_first_touched = books.made_writable.first_touch;
  stats.pages_sole_owner = books.made_writable.sole_owner;
  stats.pages_moved = books.made_writable.moved;
  stats.pages_to_history = books.made_writable.to_history;
  stats.bytes_copied = books.bytes(books.made_writable.copied());
  stats.pages_copied_along = books.copied_along;
  stats.handler_time = books.handler_time;
}

std::uint64_t borrowed_and_own(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::uint64_t count = 0;
  for (const Run& run : books.borrower.base) {
    for (const Pages own : books.own.runs({run.first, run.count})) count += own.count;
  }
  return count;
}

std::uint64_t bookkeeping_bytes(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  std::uint64_t bytes = os::resident_bytes(books.memory_.data(), books.memory_.size());
  bytes += os::resident_bytes(books.home, books.home->memory_bytes);
  for (Plane* plane : books.planes) bytes += os::resident_bytes(plane, plane->memory_bytes);
  bytes += books.log_memory.resident_bytes() + books.version_memory.resident_bytes() + books.borrower.base.bytes();
  bytes += books.sweep_room.capacity_bytes();
  for (const Version& version : books.versions) {
    bytes += version.kept.capacity_bytes() + version.runs.bytes() + version.flattened.bytes();
  }
  return bytes;
}

/// Under the kernel barrier the books are those of the last cut. What was written since counts as if it had been
/// caught; where there is no memory to list it, it is left out.
void add_uncollected(ArenaBooks& books, ArenaStats& stats) noexcept COW_FAULT_LOCKED {
  BookVector<Pages> written;
  if (!books.barrier->collects || fronts::list_written(books, written)) return;
  for (const Pages& run : written) {
    stats.pages_writable += run.count;
    for (Page p = run.first; p < run.end(); ++p) {
      const bool counted = books.own.contains(p) && !books.blank.contains(p);
      const bool borrowed = books.birth_of(p) == borrowed_birth;  // until the cut
      stats.pages_private += counted || borrowed ? 0 : 1;
      stats.file_frames_used += counted || books.fronts.taken.contains(p) ? 0 : 1;
    }
  }
}

void add_levels(ArenaBooks& books, ArenaStats& stats) noexcept COW_FAULT_LOCKED {
  stats.epoch = books.epoch.value;
  stats.pages_private = books.own.count() - books.blank.count();
  stats.pages_writable = books.writable.count();
  stats.pages_with_fronts = books.fronts.present.count();
  stats.pages_excluded = books.excluded.count();
  stats.barrier_changes = books.choice.changes;
  stats.barrier_reason = books.choice.why;
  stats.pages_borrowed = books.borrower.base.pages() - borrowed_and_own(books);
  stats.mappings = books.mappings;
}

}  // namespace

ArenaStats ArenaStats::since(const ArenaStats& earlier) const noexcept {
  ArenaStats difference = *this;
  for (const auto counter :
       {&ArenaStats::faults_first_touch, &ArenaStats::faults_sole_owner, &ArenaStats::faults_moved,
        &ArenaStats::faults_to_history, &ArenaStats::faults_already_done, &ArenaStats::pages_first_touched,
        &ArenaStats::pages_sole_owner, &ArenaStats::pages_moved, &ArenaStats::pages_to_history,
        &ArenaStats::bytes_copied, &ArenaStats::pages_copied_along}) {
    difference.*counter -= earlier.*counter;
  }
  difference.handler_time = handler_time.since(earlier.handler_time);
  return difference;
}

ArenaStats Arena::stats() const {
  ArenaBooks& books = usable(books_, "stats");
  fork_children::release_ended();
  ArenaStats stats;
  const Operation operation(books);
  stats.snapshots_alive = books.versions.size();
  {
    FaultLockHeld held(*books.fault_lock);
    add_counters(books, stats);
    add_levels(books, stats);
    add_uncollected(books, stats);
    stats.bookkeeping_bytes = bookkeeping_bytes(books);
    FaultLockHeld file_held(books.family.file.lock());
    FrameFile& file = books.family.file;
    stats.file_frames_used += file.frames_used();
    stats.history_frames_used = file.history().used();
    stats.history_frames_free = file.history().free_with_memory();
    stats.loose_frames = file.loose_frames();
  }
  stats.file_bytes = books.family.file.allocated_bytes();
  stats.process_mappings = MappingBudget::used.load(std::memory_order_relaxed);
  stats.process_mapping_budget = MappingBudget::limit();
  return stats;
}

}  // namespace cow

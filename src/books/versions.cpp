// Sweeping the logs, and dropping. See books/versions.hpp.
#include "books/versions.hpp"

#include <algorithm>

#include "words/mutants.hpp"

namespace cow {
namespace {

/// What the version knows of where it is in the logs, unless they have changed since.
Swept swept_so_far(const Version& version) noexcept COW_IN_OPERATION {
  if (version.swept.drops == version.books.dropped_versions) return version.swept;
  return {version.epoch, {}, version.books.dropped_versions};
}

/// Collects what was logged since the version was swept last, in the order of the logs.
os::Error collect_new_entries(const Version& version, const LogEnd& end, BookVector<FoundInLogs>& found) noexcept
    COW_IN_OPERATION {
  const ArenaBooks& books = version.books;
  const Swept swept = swept_so_far(version);
  std::uint64_t order = 0;
  os::Error error;
  for (auto at = books.versions.iterator_to(version); at != books.versions.end() && !error; ++at) {
    if (at->epoch < swept.to) continue;
    const UndoLog::Mark from = at->epoch == swept.to ? swept.mark : UndoLog::Mark{};
    at->log.for_each_between(from, &*at == end.newest ? end.mark : at->log.mark(), [&](const LogEntry& entry) {
      if (!error) error = found.push_back({{entry.page, entry.frame}, order++});
    });
  }
  return error;
}

void keep_first_of_each(BookVector<FoundInLogs>& found) noexcept {
  std::sort(found.begin(), found.end(), [](const FoundInLogs& a, const FoundInLogs& b) {
    if (a.page.page != b.page.page) return a.page.page < b.page.page;
    return mutant(Mutant::last_log_wins) ? a.order > b.order : a.order < b.order;
  });
  const auto same = [](const FoundInLogs& a, const FoundInLogs& b) { return a.page.page == b.page.page; };
  const FoundInLogs* const last = std::unique(found.begin(), found.end(), same);
  found.shrink_to(static_cast<std::size_t>(last - found.begin()));
}

/// What was known before wins: it came from an earlier log.
os::Error add_to(KeptPages& kept, SweepRoom& room) noexcept {
  if (const os::Error error = room.joining.make_room(room.found.size())) return error;
  for (const FoundInLogs& candidate : room.found) {
    if (!kept.find(candidate.page.page)) room.joining.append(candidate.page);
  }
  return room.joining.empty() ? os::Error{} : kept.add(room.joining);
}

Version* older_than(Version& version) noexcept COW_IN_OPERATION {
  const auto place = version.books.versions.iterator_to(version);
  return place == version.books.versions.begin() ? nullptr : &*std::prev(place);
}

/// Takes the entries out of a log that `goes` for and whose pages the next older version does not lack, and gives up
/// what they keep.
template <class Goes>
void give_up_entries(ArenaBooks& books, UndoLog& log, const Version* older, Goes&& goes, FrameRelease& freed,
                     UndoLog::Chunks& emptied) noexcept COW_SIGNALS_BLOCKED {
  Lending& lending = books.family.lending;
  const auto stays = [&](const LogEntry& entry) {
    if (!goes(entry)) return true;
    if (older == nullptr || mutant(Mutant::drop_frees_all)) return false;
    return entry.birth <= older->epoch || mutant(Mutant::drop_keeps_all);
  };
  const auto give_up = [&](const LogEntry& entry) COW_HELD_UNCHECKED {  // called here only
    if (entry.owned) {
      lending.release({entry.page, 1, entry.frame}, freed);
    } else if (entry.birth == borrowed_birth) {
      lending.end_borrowing(books.borrower, {entry.page, 1}, freed);
    }
  };
  log.filter(stays, give_up, emptied);
}

/// Takes the fault lock for each step: who writes waits for one at most.
void trim_log_memory(ArenaBooks& books) noexcept COW_HELD_UNCHECKED {
  const auto locked = [&](auto&& step) {
    FaultLockHeld held(*books.fault_lock);
    step();
  };
  bool overfull = false;
  locked([&]() COW_HELD_UNCHECKED { overfull = books.log_memory.overfull(); });
  if (overfull) books.log_memory.trim(locked);
}

void give_back_chunks(ArenaBooks& books, UndoLog::Chunks& emptied) noexcept {
  {
    FaultLockHeld held(*books.fault_lock);
    emptied.clear_and_dispose([&](LogChunk* chunk) COW_HELD_UNCHECKED { books.log_memory.give_back(chunk); });
  }
  trim_log_memory(books);
}

}  // namespace

LogEnd log_end_now(const ArenaBooks& books) noexcept {
  FaultLockHeld held(*books.fault_lock);
  return log_end(books);
}

os::Error sweep_now(Version& version) noexcept { return sweep_logs(version, log_end_now(version.books)); }

os::Error sweep_for_look_ups(Version& version, const LogEnd& end) noexcept {
  SweepRoom& room = version.books.sweep_room;
  os::Error error = collect_new_entries(version, end, room.found);
  if (!error && !room.found.empty()) {
    keep_first_of_each(room.found);
    error = add_to(version.kept, room);
  }
  room.clear();
  if (mutant(Mutant::failed_sweep_knows_of_drops)) version.swept.drops = version.books.dropped_versions;
  if (!error) version.swept = {end.newest->epoch, end.mark, version.books.dropped_versions};
  return error;
}

os::Error sweep_logs(Version& version, const LogEnd& end) noexcept {
  const os::Error error = sweep_for_look_ups(version, end);
  return error ? error : version.kept.make_whole();
}

void release_flattened(Version& version) noexcept {
  FrameRelease freed(version.books.family.file);
  for (const Run& run : version.flattened) version.books.family.lending.release(run, freed);
  version.flattened = RunList{};
}

void drop_version(Version& version) noexcept {
  ArenaBooks& books = version.books;
  const auto place = books.versions.iterator_to(version);
  Version* const older = older_than(version);
  {
    FaultLockHeld held(*books.fault_lock);
    books.versions.erase(place);
    if (books.newest == &version) books.newest = older;
  }
  ++books.dropped_versions;
  FrameRelease freed(books.family.file);
  UndoLog::Chunks emptied;
  give_up_entries(books, version.log, older, [](const LogEntry&) { return true; }, freed, emptied);
  {
    FaultLockHeld held(*books.fault_lock);
    if (older != nullptr) older->log.take_over(version.log, emptied);
  }
  give_back_chunks(books, emptied);
  release_flattened(version);
  version.~Version();
  books.version_memory.give_back(&version);
  if (books.version_memory.overfull()) books.version_memory.trim([](auto&& step) { step(); });
  if (!books.mapped()) release_unshown_frames(books);
}

void let_go_of_kept(Version& version, const PageSet& done) noexcept {
  ArenaBooks& books = version.books;
  UndoLog log;
  UndoLog::Chunks emptied;
  {
    FaultLockHeld held(*books.fault_lock);  // writers go on logging to an empty one
    log.take_over(version.log, emptied);
  }
  ++books.dropped_versions;  // what other versions know of where they are in the logs holds no more
  version.log_is_partial = true;
  {
    FrameRelease freed(books.family.file);
    give_up_entries(
        books, log, older_than(version), [&](const LogEntry& entry) { return done.contains(entry.page); }, freed,
        emptied);
  }
  {
    FaultLockHeld held(*books.fault_lock);
    version.log.take_over(log, emptied);
  }
  give_back_chunks(books, emptied);
}

void release_unshown_frames(ArenaBooks& books) noexcept {
  FrameRelease freed(books.family.file);
  const Epoch newest = books.newest_epoch();
  for (Page p = books.own.next({0}); p != books.own.end(); p = books.own.next(p + 1)) {
    if (books.table.get(p).birth <= newest) continue;
    if (!books.blank.contains(p)) books.family.lending.release({p, 1, books.frame_of(p)}, freed);
    books.own.erase({p, 1});
  }
}

}  // namespace cow

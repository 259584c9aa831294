// What a version shows, worked out from the logs and the live pages, and what becomes of its frames when it is
// dropped. Runs in operations only, with the operation mutex held and asynchronous signals blocked.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Where all the logs of an arena ended at some moment.
struct LogEnd {
  const Version* newest = nullptr;
  UndoLog::Mark mark;
};

/// The fault lock is held. There is a version.
inline LogEnd log_end(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  return {books.newest, books.newest->log.mark()};
}

/// The same, asked at this moment: takes the fault lock.
LogEnd log_end_now(const ArenaBooks& books) noexcept COW_SIGNALS_BLOCKED;

/// Brings version.kept up to date with the logs, for look-ups: the first log from the version on that has a page wins.
/// Cost: what was logged since the last time.
os::Error sweep_for_look_ups(Version& version, const LogEnd& end) noexcept COW_IN_OPERATION;
/// The same, and makes it whole, for going through.
os::Error sweep_logs(Version& version, const LogEnd& end) noexcept COW_IN_OPERATION;
/// The same, up to where the logs end now.
os::Error sweep_now(Version& version) noexcept COW_IN_OPERATION;

/// The whole content as runs. The fault lock is held, the logs are swept under it, and the frames are on loan, so that
/// they stay.
os::Error list_runs(const Version& version, RunList& runs) noexcept COW_FAULT_LOCKED;

/// The same for a list that others have had on loan ever since, once the logs are swept and all of the version is on
/// loan: only pages that were written in place since show other frames. Cost: of the runs, and of what the logs keep.
os::Error bring_up_to_date(Version& version) noexcept COW_IN_OPERATION;

/// Copies the shorter runs to a plane of the version's own, until at most `most` mappings show the content. The frames
/// are on loan. Takes the fault lock for moments.
os::Error flatten(Version& version, std::uint64_t most) noexcept COW_IN_OPERATION;

/// Gives up the version's own copies.
void release_flattened(Version& version) noexcept COW_IN_OPERATION;

/// Takes the version out of the chain and destroys it: what an older one needs goes there, the rest is freed. No
/// allocation.
void drop_version(Version& version) noexcept COW_IN_OPERATION;

/// Gives up what the version's own log keeps of pages in `done`, but for what an older version needs: for who holds the
/// only handle, and will not ask for them again. No allocation.
void let_go_of_kept(Version& version, const PageSet& done) noexcept COW_IN_OPERATION;

/// The arena is gone, and with it the faults: frees its live frames that no version shows.
void release_unshown_frames(ArenaBooks& books) noexcept COW_HELD_UNCHECKED;

}  // namespace cow

// What an arena counts about itself. Plain numbers: printing them is the business of cow/diagnostics.
#pragma once

#include <cstdint>

namespace cow {

/// Counters and levels of one arena, read in one instant by Arena::stats(). Counters only grow, over
/// the life of the arena; levels are what holds now. "File" is the memory file that an arena shares
/// with its clones.
struct ArenaStats {
  // Faults (counters): first writes that the handler caught, by what the page needed.
  std::uint64_t faults_first_touch = 0;  ///< never written: nothing to keep
  std::uint64_t faults_sole_owner = 0;   ///< nobody else needed the page: made writable without a copy
  std::uint64_t faults_moved = 0;        ///< the writer moved to a frame of its own
  std::uint64_t faults_to_history = 0;   ///< the before-image went to history
  std::uint64_t faults_already_done = 0; ///< another thread had made the page writable meanwhile

  // Pages made writable (counters), by faults, prepare_write(), rollback() and snapshot() alike.
  std::uint64_t pages_first_touched = 0;
  std::uint64_t pages_sole_owner = 0;
  std::uint64_t pages_moved = 0;
  std::uint64_t pages_to_history = 0;
  std::uint64_t bytes_copied = 0;        ///< by the two kinds that copy

  // Levels, of this arena.
  std::uint64_t epoch = 0;               ///< advances with each snapshot that found something written
  std::uint64_t snapshots_alive = 0;     ///< versions of this arena that some handle holds
  std::uint64_t pages_private = 0;       ///< pages written by this arena: it shows frames of its own there
  std::uint64_t pages_writable = 0;      ///< pages that can be written now without a fault
  std::uint64_t pages_borrowed = 0;      ///< pages that still show the version this arena was cloned from
  std::uint64_t mappings = 0;            ///< kernel mappings (VMAs) this arena's range is split into
  std::uint64_t bookkeeping_bytes = 0;   ///< resident memory of this arena's own books

  // Levels, of the file shared with all clones.
  std::uint64_t file_frames_used = 0;    ///< frames that hold live pages or before-images outside history
  std::uint64_t history_frames_used = 0; ///< frames that hold before-images in history
  std::uint64_t history_frames_free = 0; ///< history frames kept with their memory for the next before-image
  std::uint64_t loose_frames = 0;        ///< of those used: frames that only clones' borrowed pages still show

  // Levels, of the process.
  std::uint64_t process_mappings = 0;        ///< mappings of all arenas and views together
  std::uint64_t process_mapping_budget = 0;  ///< above this, faults make larger blocks writable to save mappings
};

}  // namespace cow

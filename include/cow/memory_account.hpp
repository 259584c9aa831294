// Where the memory of an arena and its clones is, so that it adds up to what the kernel says.
#pragma once

#include <cstdint>
#include <string>

#include "cow/export.hpp"

namespace cow {

class Arena;

/// The memory file that an arena shares with its clones and with the snapshots of all of them, in bytes. While nobody
/// writes, total() == kernel_bytes. The books' own memory is not in it: that is ArenaStats::bookkeeping_bytes.
struct MemoryAccount {
  std::uint64_t live_bytes = 0;  ///< pages written by this arena, as it shows them
  /// Pages written by the other living arenas of the file: clones, and what it was cloned from.
  std::uint64_t relatives_bytes = 0;
  std::uint64_t left_behind_bytes = 0;   ///< frames that writers left where they were, for snapshots, views or clones
  std::uint64_t history_bytes = 0;       ///< before-images in history
  std::uint64_t history_free_bytes = 0;  ///< history frames kept with their memory for the next before-images
  std::uint64_t read_only_bytes = 0;     ///< never-written pages that were read: the kernel gave them memory for that
  /// To be taken off: pages made writable along with a neighbour, and not touched yet.
  std::uint64_t untouched_bytes = 0;
  /// Not part of the sum: fronts of this arena, private memory that Barrier::kernel puts before its frames.
  std::uint64_t front_bytes = 0;
  /// Nor this: memory of this arena's pages that Arena::exclude() took out of the file; private memory of the process.
  std::uint64_t excluded_bytes = 0;
  std::uint64_t kernel_bytes = 0;  ///< memory and swap behind the file, as fstat() tells it

  std::uint64_t total() const noexcept {
    return live_bytes + relatives_bytes + left_behind_bytes + history_bytes + history_free_bytes + read_only_bytes -
           untouched_bytes;
  }
};

/// Cost: about a microsecond for each run of pages with memory. Beside running writers the parts are of slightly
/// different moments. Throws std::logic_error for a moved-from arena, std::system_error without memory for the list of
/// runs.
COW_API MemoryAccount account_memory(const Arena& arena);

/// A line for each part.
COW_API std::string to_text(const MemoryAccount& account);

}  // namespace cow

// What an arena counts about itself. Plain numbers: printing them is the business of cow/stats_format.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "cow/export.hpp"

namespace cow {

/// How long something took, how often: a histogram with four buckets to each doubling, so that what it tells is
/// right to a quarter, and exact totals. Not locked.
class DurationHistogram {
 public:
  static constexpr std::size_t buckets = 128;  ///< the last one takes all from 7.5 seconds on

  /// Async-signal-safe; some nanoseconds.
  void add(std::uint64_t ns) noexcept {
    ++counts_[bucket_of(ns)];
    total_ns_ += ns;
    longest_ns_ = std::max(longest_ns_, ns);
  }

  std::uint64_t count() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t n : counts_) sum += n;
    return sum;
  }
  std::uint64_t total_ns() const noexcept { return total_ns_; }
  /// The longest of all; in a since(), of those that may have been since.
  std::uint64_t longest_ns() const noexcept { return longest_ns_; }
  /// The duration that the given part (0 to 1) of all did not exceed, to the bucket's end; 0 when there are none.
  std::uint64_t quantile_ns(double part) const noexcept {
    const std::uint64_t all = count();
    const double wanted = part * static_cast<double>(all);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets && all != 0; ++i) {
      seen += counts_[i];
      if (seen != 0 && static_cast<double>(seen) >= wanted) return std::min(bucket_begin_ns(i + 1) - 1, longest_ns_);
    }
    return longest_ns_;
  }

  std::uint64_t in_bucket(std::size_t i) const noexcept { return counts_[i]; }
  static std::size_t bucket_of(std::uint64_t ns) noexcept {
    if (ns < 4) return static_cast<std::size_t>(ns);
    const int doubling = 63 - std::countl_zero(ns);
    const std::uint64_t bucket = static_cast<std::uint64_t>(doubling - 1) * 4 + (ns >> (doubling - 2) & 3);
    return std::min(static_cast<std::size_t>(bucket), buckets - 1);
  }
  /// The shortest duration that bucket i counts.
  static std::uint64_t bucket_begin_ns(std::size_t i) noexcept {
    return i < 4 ? i : std::uint64_t{4 + i % 4} << (i / 4 - 1);
  }

  /// What was added after `earlier`, a state that this histogram was in.
  DurationHistogram since(const DurationHistogram& earlier) const noexcept {
    DurationHistogram difference;
    std::size_t last = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      difference.counts_[i] = counts_[i] - earlier.counts_[i];
      if (difference.counts_[i] != 0) last = i + 1;
    }
    difference.total_ns_ = total_ns_ - earlier.total_ns_;
    if (last == buckets) {
      difference.longest_ns_ = longest_ns_;
    } else if (last != 0) {
      difference.longest_ns_ = std::min(bucket_begin_ns(last) - 1, longest_ns_);
    }
    return difference;
  }

 private:
  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t total_ns_ = 0;
  std::uint64_t longest_ns_ = 0;
};

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
  std::uint64_t faults() const noexcept {
    return faults_first_touch + faults_sole_owner + faults_moved + faults_to_history + faults_already_done;
  }

  // Pages made writable or written (counters), by faults, write(), prepare_write(), rollback() and snapshot() alike.
  std::uint64_t pages_first_touched = 0;
  std::uint64_t pages_sole_owner = 0;
  std::uint64_t pages_moved = 0;
  std::uint64_t pages_to_history = 0;
  std::uint64_t bytes_copied = 0;        ///< by the two kinds that copy
  std::uint64_t pages_copied_along = 0;  ///< of those, neighbours of what was written; see cow/copied_along.hpp

  /// Time in the handler, from its entry to the page being writable; waiting for other threads is in it, the kernel's
  /// delivery of the signal and its return are not (1 to 4 us more a fault on x86-64; most on virtual machines).
  DurationHistogram handler_time;

  // Levels, of this arena.
  std::uint64_t epoch = 0;               ///< advances with each snapshot that found something written
  std::uint64_t snapshots_alive = 0;     ///< versions of this arena that some handle holds
  std::uint64_t pages_private = 0;       ///< pages written by this arena, or opened beside such: frames of its own
  std::uint64_t pages_writable = 0;      ///< pages that can be written without a fault; kernel: written since the cut
  std::uint64_t pages_with_fronts = 0;   ///< kernel barrier: pages that may take private memory besides their frame, as
                                         ///< the last cut found them; those written since are in pages_writable
  std::uint64_t barrier_changes = 0;     ///< counter: by Barrier::automatic, or a cut that was not quiet
  const char* barrier_reason = "";       ///< why it is the one in use
  std::uint64_t pages_borrowed = 0;      ///< pages that still show the version this arena was cloned from
  std::uint64_t mappings = 0;            ///< kernel mappings (VMAs) this arena's range is split into
  std::uint64_t bookkeeping_bytes = 0;   ///< resident memory of this arena's own books

  // Levels, of the file shared with all clones.
  std::uint64_t file_frames_used = 0;    ///< frames that hold live pages or before-images outside history
  std::uint64_t history_frames_used = 0; ///< frames that hold before-images in history
  std::uint64_t history_frames_free = 0; ///< history frames kept with their memory for the next before-image
  std::uint64_t loose_frames = 0;        ///< of those used: frames that only clones' borrowed pages still show
  std::uint64_t file_bytes = 0;          ///< memory behind the file as the kernel counts it; see cow/memory_account.hpp

  // Levels, of the process.
  std::uint64_t process_mappings = 0;        ///< mappings of all arenas and views together
  std::uint64_t process_mapping_budget = 0;  ///< near this, faults save mappings, by copies or further faults

  std::uint64_t pages_excluded = 0;  ///< of this arena: what snapshots and rollbacks leave alone (Arena::exclude)

  /// What happened after `earlier`, statistics of the same arena: counters less what they were, levels as they are now.
  COW_API ArenaStats since(const ArenaStats& earlier) const noexcept;
};

}  // namespace cow

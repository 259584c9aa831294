// The content of a version as memory to copy from, for operations that put it into an arena of the same family.
#pragma once

#include <cstddef>
#include <optional>

#include "arena/mapped_frames.hpp"
#include "books/arena_books.hpp"
#include "books/run_list.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// Stays right for as long as it lives, whatever is written meanwhile. A version of the arena that is written itself is
/// read where the logs keep it, without lending it: its writers would have to move.
class VersionContent {
 public:
  explicit VersionContent(Version& version) noexcept : version_(version), frames_(version.books.family.file) {}
  ~VersionContent();
  VersionContent(const VersionContent&) = delete;
  VersionContent& operator=(const VersionContent&) = delete;

  /// `into`: the arena that is going to be written. No lock is held.
  os::Error open(const ArenaBooks& into) noexcept;
  /// Before at() is asked for these pages.
  os::Error add(Pages run) noexcept;
  const std::byte* at(Page p) const noexcept;
  /// Whether the version has nothing there, since its arena keeps such pages to itself.
  bool is_excluded(Page p) const noexcept { return version_.books.is_excluded_at(p, version_.epoch); }
  bool is_zero(Page p) const noexcept { return frame_of(p) == zero_frame; }

 private:
  std::optional<Frame> frame_of(Page p) const noexcept;

  Version& version_;
  bool own_ = false;
  Loan* loan_ = nullptr;
  RunList runs_;
  MappedFrames frames_;
  BookBuffer zeros_;
};

}  // namespace cow

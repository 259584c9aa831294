// The content of a version as memory to copy from, for operations that put it into an arena of the same family.
#pragma once

#include <cstddef>
#include <optional>

#include "arena/mapped_frames.hpp"
#include "books/arena_books.hpp"
#include "books/near_pages.hpp"
#include "books/run_list.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"
#include "rule/known_writes.hpp"
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

  /// `into`: the arena that is going to be written. No lock is held. Once more: as the logs are by now. `cut`: `into`
  /// has been cut since it was last written. Then what the logs do not have of its versions it shows itself, also where
  /// another thread's cut takes pages to other frames meanwhile.
  os::Error open(const ArenaBooks& into, bool cut) noexcept;
  /// Before at() is asked for these pages.
  os::Error add(Pages run) noexcept;
  /// Good for as long as this lives; while somebody is Nearby(), for as long as near() says so.
  const std::byte* at(Page p) const noexcept;
  const std::byte* lasting(Page p) const noexcept;
  /// Without add(): read by the file into `page`, if it has to be.
  os::Result<const std::byte*> read(Page p, std::byte* page) const noexcept;
  /// While somebody is Nearby(): a front in which the version's arena may have written since, where there is one; else
  /// null. What differs from it differs from the version too, unless that was written meanwhile.
  const std::byte* glimpse(Page p) const noexcept;
  /// What it takes for an arena to hold the version's page. Where `nearer` is not `from`, the version's arena shows it
  /// there, and reading that takes no fault.
  PageWrite as_write(Page p) const noexcept;
  const NearPages& near() const noexcept { return near_; }

  /// While it lives, at() may lead to where the version's arena itself shows a page, which costs no fault; afterwards
  /// near() tells whether it still was that page. Nobody waits for a lock meanwhile.
  class Nearby {
   public:
    explicit Nearby(VersionContent& content) noexcept : content_(content), reading_(content.near_) {
      content_.nearby_ = static_cast<bool>(reading_);
    }
    ~Nearby() { content_.nearby_ = false; }
    Nearby(const Nearby&) = delete;
    Nearby& operator=(const Nearby&) = delete;

    /// Whether all that at() has led to until now is the version's.
    bool held() const noexcept { return !reading_ || content_.near_.still(); }

   private:
    VersionContent& content_;
    const NearPages::Reading reading_;
  };
  /// Whether the version has nothing there, since its arena keeps such pages to itself.
  bool is_excluded(Page p) const noexcept { return version_.books.is_excluded_at(p, version_.epoch); }
  bool is_zero(Page p) const noexcept { return frame_of(p) == zero_frame; }

 private:
  std::optional<Frame> frame_of(Page p) const noexcept;
  const std::byte* shown_by_its_arena(Page p, Frame frame) const noexcept;
  const std::byte* lasting(Page p, std::optional<Frame> frame) const noexcept;

  Version& version_;
  bool own_ = false;
  bool shown_by_own_ = false;  // whatever barrier it has: no front hides what the logs do not tell yet
  Loan* loan_ = nullptr;
  RunList runs_;
  MappedFrames frames_;
  NearPages near_;
  bool nearby_ = false;
  BookBuffer zeros_;
};

}  // namespace cow

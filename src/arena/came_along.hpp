// What a rollback does about pages that faults opened beside others, and that nobody has stored to: they are closed
// again, and rolling back to that version once more leaves them alone. Nobody writes the arena meanwhile.
#pragma once

#include "books/arena_books.hpp"

namespace cow {

/// Whether page p, which is protected, is as the version shows it.
inline bool is_unchanged(const Version& version, Page p) noexcept COW_HELD_UNCHECKED {
  const CameAlong& pages = version.books.came_along;
  return pages.version == version.name && pages.unchanged.contains(p);
}

/// Looks at pages in ascending order, while it lives, and protects again those that are as they were.
class LookingAtCameAlong {
 public:
  explicit LookingAtCameAlong(Version& version) noexcept : version_(version) {}
  ~LookingAtCameAlong() COW_SIGNALS_BLOCKED { close(); }
  LookingAtCameAlong(const LookingAtCameAlong&) = delete;
  LookingAtCameAlong& operator=(const LookingAtCameAlong&) = delete;

  /// Whether any of the run has come along, and is to be looked at.
  bool wants(Pages run) const noexcept;
  /// Whether page p, which can be written, holds the version's content. Each is asked once.
  bool is_as_it_was(Page p, const std::byte* content) noexcept COW_SIGNALS_BLOCKED;

 private:
  void close() noexcept COW_SIGNALS_BLOCKED;

  Version& version_;
  Pages unchanged_;  // the last ones, one behind the other, that are not closed yet
};

}  // namespace cow

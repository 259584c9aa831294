// A version's pages where the arena itself shows them: read without a copy, by whoever looks afterwards whether they
// still were the version's. No lock is held; only the arena's end waits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "books/arena_books.hpp"
#include "kernel/disk.hpp"

namespace cow {

/// While it lives the mapping stays, and whoever destroys the arena waits, with its operation's lock: nobody may call
/// an operation of the arena meanwhile, nor wait for another thread.
class PagesInPlace {
 public:
  static constexpr std::uint64_t most_pages = os::most_asked_about;

  /// Not for more pages than that.
  PagesInPlace(Version& version, Pages run) noexcept;
  PagesInPlace(const PagesInPlace&) = delete;
  PagesInPlace& operator=(const PagesInPlace&) = delete;

  /// Where the run's pages are; null where they cannot be read in place: one is not the arena's own any more, or has no
  /// memory, which a look at it would take.
  const std::byte* data() const noexcept { return data_; }
  /// Whether what was read until now is the version's.
  bool still() const noexcept;

 private:
  const std::byte* shown() const noexcept;

  ArenaBooks& books_;
  const Pages run_;
  const LiveReader reader_;
  std::uint64_t moves_ = 0;
  const std::byte* data_ = nullptr;
  PageTable::Entry entries_[most_pages];
};

}  // namespace cow

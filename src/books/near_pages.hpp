// A version's pages where its own arena shows them, for whoever reads without a lock and looks afterwards whether they
// were still there: no mapping is made, and no fault taken.
#pragma once

#include <atomic>
#include <cstdint>

#include "books/arena_books.hpp"
#include "kernel/fences.hpp"

namespace cow {

/// Remembers how often pages of an arena had moved: what showed a frame then does so for as long as still() holds.
class NearPages {
 public:
  NearPages() noexcept = default;
  explicit NearPages(ArenaBooks& of) noexcept : books_(&of), moves_(of.moves.load(std::memory_order_acquire)) {}

  bool still() const noexcept {
    if (books_ == nullptr || moves_ % 2 != 0) return false;
    fence(std::memory_order_acquire);
    return books_->moves.load(std::memory_order_relaxed) == moves_;
  }

  /// While it lives the mapping stays, if there is one. Whoever destroys the arena waits, with its operation's lock:
  /// nobody may wait for a lock meanwhile that somebody may hold who waits for that.
  class Reading {
   public:
    explicit Reading(const NearPages& pages) noexcept
        : books_(pages_are_read_in_place && pages.still() ? pages.books_ : nullptr) {
      if (books_ != nullptr && !books_->live_readers.enter()) books_ = nullptr;
    }
    ~Reading() {
      if (books_ != nullptr) books_->live_readers.leave();
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    explicit operator bool() const noexcept { return books_ != nullptr; }

   private:
    ArenaBooks* books_;
  };

 private:
  ArenaBooks* books_ = nullptr;
  std::uint64_t moves_ = 1;
};

}  // namespace cow

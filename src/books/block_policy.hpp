// How many pages one fault should make writable: more where writes come in sequence, one where they are
// scattered. A guess only; the rule decides page by page what may be in a block. Under the arena's fault lock.
#pragma once

#include <cstdint>

#include "words/units.hpp"

namespace cow {

/// Remembers where the last few blocks ended, like a kernel's readahead: a fault right behind (or right before) one of
/// them continues a stream and gets a block twice as long.
class BlockPolicy {
 public:
  static constexpr std::uint64_t longest_block = 32;

  /// The block to make writable for a fault on page p; it contains p. Then tell what became of it: granted().
  Pages block_for(Page p, std::uint64_t pages) noexcept {
    for (Stream& stream : streams_) {
      const bool forwards = p == stream.last.end();
      const bool backwards = p + 1 == stream.last.first;
      if (stream.last.count == 0 || (!forwards && !backwards)) continue;
      current_ = &stream;
      stream.length = at_most(stream.length * 2, longest_block);
      return forwards ? Pages{p, at_most(stream.length, pages - p.value)} : ending_at(p, stream.length);
    }
    current_ = &streams_[next_++ % stream_count];
    current_->length = 1;
    return {p, 1};
  }

  void granted(Pages block) noexcept { current_->last = block; }

 private:
  static constexpr std::uint32_t stream_count = 4;

  struct Stream {
    Pages last;
    std::uint64_t length = 1;
  };

  static std::uint64_t at_most(std::uint64_t a, std::uint64_t b) noexcept { return a < b ? a : b; }
  static Pages ending_at(Page p, std::uint64_t length) noexcept {
    const std::uint64_t count = at_most(length, p.value + 1);
    return {{p.value + 1 - count}, count};
  }

  Stream streams_[stream_count];
  Stream* current_ = &streams_[0];
  std::uint32_t next_ = 0;
};

}  // namespace cow

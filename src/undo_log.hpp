// Layer 3: what a snapshot needs to undo what was written since: for each page written, the frame that still shows the
// snapshot's content. Appended to in the signal handler, read by operations. Order within a log means nothing.
#pragma once

#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>

#include "book_memory.hpp"
#include "units.hpp"

namespace cow {

struct LogEntry {
  Page page;
  Frame frame;                 // zero_frame: the page had never been written
  std::uint64_t birth_and_owned = 0;

  /// The page's birth before the write.
  Epoch birth() const noexcept { return {birth_and_owned >> 1}; }
  /// Whether the frame is this log's to give back; a borrowed page's is not.
  bool owned() const noexcept { return (birth_and_owned & 1) != 0; }
};
static_assert(sizeof(LogEntry) == 24);

struct LogChunk : boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  static constexpr std::uint32_t capacity = 169;  // fills 4 KiB

  std::uint32_t count = 0;
  LogEntry entries[capacity];
};
static_assert(sizeof(LogChunk) <= 4096);

using LogMemory = Slab<sizeof(LogChunk)>;

class UndoLog {
 public:
  /// Where a log ended at some moment: what is before it does not change while the version lives.
  struct Mark {
    const LogChunk* chunk = nullptr;
    std::uint32_t count = 0;
  };

  /// Makes sure that the next `entries` calls of append() succeed.
  static os::Error make_room(LogMemory& memory, std::uint64_t entries) noexcept {
    return memory.make_room(entries / LogChunk::capacity + 1);
  }

  void append(LogMemory& memory, Page page, Frame frame, Epoch birth, bool owned) noexcept {
    if (chunks_.empty() || chunks_.back().count == LogChunk::capacity) {
      LogChunk* chunk = ::new (memory.take()) LogChunk;
      chunks_.push_back(*chunk);
    }
    LogChunk& chunk = chunks_.back();
    chunk.entries[chunk.count++] = {page, frame, birth.value << 1 | (owned ? 1u : 0u)};
    ++size_;
  }

  Mark mark() const noexcept { return chunks_.empty() ? Mark{} : Mark{&chunks_.back(), chunks_.back().count}; }

  /// Calls f(entry) for all entries behind `from` and before `to`. Needs no lock against append(), but against the others.
  template <class F>
  void for_each_between(const Mark& from, const Mark& to, F&& f) const {
    bool behind = from.chunk == nullptr;
    if (to.chunk == nullptr) return;
    for (const LogChunk& chunk : chunks_) {
      const bool starts = &chunk == from.chunk, ends = &chunk == to.chunk;
      const std::uint32_t first = starts ? from.count : 0;
      if (behind || starts) {
        // A full chunk's count stands still; the last one's may be growing, and is known from the mark.
        const std::uint32_t count = ends ? to.count : chunk.count;
        for (std::uint32_t i = first; i < count; ++i) f(chunk.entries[i]);
        behind = true;
      }
      if (ends) return;
    }
  }

  using Chunks = boost::intrusive::slist<LogChunk, boost::intrusive::constant_time_size<false>, boost::intrusive::cache_last<true>>;

  /// Takes out the entries for which `keep` is false, handing each to `drop`, and the chunks that become empty.
  /// Allocates nothing.
  template <class Keep, class Drop>
  void filter(Keep&& keep, Drop&& drop, Chunks& emptied) {
    Chunks kept;
    size_ = 0;
    while (!chunks_.empty()) {
      LogChunk& chunk = chunks_.front();
      chunks_.pop_front();
      std::uint32_t left = 0;
      for (std::uint32_t i = 0; i < chunk.count; ++i) {
        if (keep(chunk.entries[i])) {
          chunk.entries[left++] = chunk.entries[i];
        } else {
          drop(chunk.entries[i]);
        }
      }
      chunk.count = left;
      size_ += left;
      if (!kept.empty() && kept.back().count + left <= LogChunk::capacity) move_entries(chunk, kept.back());
      (chunk.count == 0 ? emptied : kept).push_back(chunk);
    }
    chunks_.swap(kept);
  }

  /// Takes over another log's entries, in front of its own: the chunk that append() fills stays the last.
  void splice_front(UndoLog& other) noexcept {
    size_ += other.size_;
    other.size_ = 0;
    if (chunks_.empty()) {
      chunks_.swap(other.chunks_);
    } else if (!other.chunks_.empty()) {
      other.chunks_.splice_after(other.chunks_.last(), chunks_);
      chunks_.swap(other.chunks_);
    }
  }

  std::uint64_t size() const noexcept { return size_; }

 private:
  static void move_entries(LogChunk& from, LogChunk& to) noexcept {
    for (std::uint32_t i = 0; i < from.count; ++i) to.entries[to.count++] = from.entries[i];
    from.count = 0;
  }

  Chunks chunks_;
  std::uint64_t size_ = 0;
};

}  // namespace cow

// What a snapshot needs to undo what was written since: for each page written, the frame that still shows the
// snapshot's content. Appended to in the signal handler, read by operations. Order within a log means nothing.
#pragma once

#include <bit>
#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernel/book_memory.hpp"
#include "kernel/slab.hpp"
#include "storage/history.hpp"
#include "words/units.hpp"

namespace cow {

struct LogEntry {
  Page page;
  Frame frame;         // zero_frame: the page read as zero
  Epoch birth;         // the page's, before the write
  bool owned = false;  // whether the frame is this log's to give back; a borrowed page's is not
};

/// Entries in eleven bytes each, since all that is written is logged: a page, a frame of history, and the birth as its
/// distance from a birth of the chunk's. What does not fit into that takes a second slot.
class LogChunk : public boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
 public:
  static constexpr std::uint32_t capacity = 368;  // fills 4 KiB
  static constexpr std::uint32_t most_slots = 2;  // of one entry
  static constexpr int page_bits = 35;            // the longest page number: 128 TiB in pages of 4 KiB

  std::uint32_t slots() const noexcept { return slots_; }
  std::uint32_t entries() const noexcept { return entries_; }
  /// Whether so many entries fit, whatever they are.
  bool has_room(std::uint32_t entries) const noexcept { return slots_ + entries * most_slots <= capacity; }

  void append(const LogEntry& entry) noexcept {
    if (birth_nearby_ == never_written) birth_nearby_ = entry.birth;
    if (fits_one_slot(entry)) {
      put(slots_++, entry.page.value | unborn(entry) | distance(entry) << above_flags, frame_code(entry));
    } else {
      put(slots_++, entry.page.value | long_flag, entry.birth.value);
      std::memcpy(slot_[slots_].bytes, &entry.frame.value, sizeof entry.frame.value);
      slot_[slots_++].bytes[slot_bytes - 1] = entry.owned ? 1 : 0;
    }
    ++entries_;
  }

  /// Calls f(entry) for what is between two numbers of slots.
  template <class F>
  void for_each(std::uint32_t from, std::uint32_t to, F&& f) const {
    for (std::uint32_t at = from; at < to;) f(read(at));
  }

  /// Takes out the entries for which `keep` is false, handing each to `drop`.
  template <class Keep, class Drop>
  void filter(Keep&& keep, Drop&& drop) {
    const std::uint32_t end = slots_;
    slots_ = entries_ = 0;
    for (std::uint32_t at = 0; at < end;) {
      const LogEntry entry = read(at);
      if (keep(entry)) {
        append(entry);
      } else {
        drop(entry);
      }
    }
  }

 private:
  // A slot's 88 bits: page 35, flags 2, distance 18 and frame 33; or of a long one page 35, flags 2 and birth 51.
  static constexpr int distance_bits = 18, slot_bytes = 11;
  static constexpr int above_flags = page_bits + 2, above_distance = above_flags + distance_bits;
  static constexpr std::uint64_t long_flag = std::uint64_t{1} << page_bits, unborn_flag = long_flag << 1;
  static constexpr std::uint64_t farthest = std::uint64_t{1} << (distance_bits - 1);
  static constexpr std::uint64_t frame_codes = std::uint64_t{1} << 33;  // 0: zero_frame
  static_assert(std::endian::native == std::endian::little);

  static constexpr std::uint64_t low_bits(int count) noexcept { return (std::uint64_t{1} << count) - 1; }
  static std::uint64_t unborn(const LogEntry& entry) noexcept { return entry.birth == never_written ? unborn_flag : 0; }
  static std::uint64_t frame_code(const LogEntry& entry) noexcept {
    return entry.frame == zero_frame ? 0 : entry.frame - History::first_frame + 1;
  }
  std::uint64_t distance(const LogEntry& entry) const noexcept {
    return entry.birth == never_written ? 0 : entry.birth.value + farthest - birth_nearby_.value;  // modulo 2^64
  }
  bool fits_one_slot(const LogEntry& entry) const noexcept {
    const bool zero = entry.frame == zero_frame, history = History::owns(entry.frame);
    if (entry.owned != history || !(zero || history) || frame_code(entry) >= frame_codes) return false;
    return distance(entry) < 2 * farthest;
  }

  /// `head` without its upper field, which goes on in the last three bytes.
  void put(std::uint32_t at, std::uint64_t head, std::uint64_t field) noexcept {
    const int begin = (head & long_flag) != 0 ? above_flags : above_distance;
    const std::uint64_t low = head | field << begin, high = field >> (64 - begin);
    std::memcpy(slot_[at].bytes, &low, sizeof low);
    std::memcpy(slot_[at].bytes + sizeof low, &high, slot_bytes - sizeof low);
  }

  /// The entry at a slot, which moves on behind it.
  LogEntry read(std::uint32_t& at) const noexcept {
    std::uint64_t low = 0, high = 0;
    std::memcpy(&low, slot_[at].bytes, sizeof low);
    std::memcpy(&high, slot_[at].bytes + sizeof low, slot_bytes - sizeof low);
    ++at;
    const Page page{low & low_bits(page_bits)};
    if ((low & long_flag) == 0) {
      const std::uint64_t code = low >> above_distance | high << (64 - above_distance);
      const std::uint64_t distance = low >> above_flags & low_bits(distance_bits);
      const Epoch birth = (low & unborn_flag) != 0 ? never_written : Epoch{birth_nearby_.value + distance - farthest};
      return {page, code == 0 ? zero_frame : History::first_frame + (code - 1), birth, code != 0};
    }
    LogEntry entry{page, {}, {low >> above_flags | high << (64 - above_flags)}, slot_[at].bytes[slot_bytes - 1] != 0};
    std::memcpy(&entry.frame.value, slot_[at].bytes, sizeof entry.frame.value);
    ++at;
    return entry;
  }

  struct Slot {
    unsigned char bytes[slot_bytes];
  };

  std::uint32_t slots_ = 0, entries_ = 0;
  Epoch birth_nearby_ = never_written;
  Slot slot_[capacity];
};
static_assert(sizeof(LogChunk) <= 4080);

using LogMemory = Slab<sizeof(LogChunk)>;

class UndoLog {
 public:
  /// Where a log ended at some moment: what is before it does not change until a version is dropped.
  struct Mark {
    const LogChunk* chunk = nullptr;
    std::uint32_t slots = 0;
  };

  /// Makes sure that the next `entries` calls of append() succeed.
  static os::Error make_room(LogMemory& memory, std::uint64_t entries) noexcept {
    return memory.make_room(chunks_for(entries));
  }
  /// Chunks that are enough for so many entries, whatever they are.
  static constexpr std::size_t chunks_for(std::uint64_t entries) noexcept {
    return entries / (LogChunk::capacity / LogChunk::most_slots - 1) + 1;
  }

  void append(LogMemory& memory, const LogEntry& entry) noexcept {
    if (chunks_.empty() || !chunks_.back().has_room(1)) chunks_.push_back(*::new (memory.take()) LogChunk);
    chunks_.back().append(entry);
    ++size_;
  }

  Mark mark() const noexcept { return chunks_.empty() ? Mark{} : Mark{&chunks_.back(), chunks_.back().slots()}; }

  /// Calls f(entry) for all entries behind `from` and before `to`. Needs no lock against append(), but against the
  /// others.
  template <class F>
  void for_each_between(const Mark& from, const Mark& to, F&& f) const {
    bool behind = from.chunk == nullptr;
    if (to.chunk == nullptr) return;
    for (const LogChunk& chunk : chunks_) {
      const bool starts = &chunk == from.chunk, ends = &chunk == to.chunk;
      if (behind || starts) {
        // A full chunk's number stands still; the last one's may be growing, and is known from the mark.
        chunk.for_each(starts ? from.slots : 0, ends ? to.slots : chunk.slots(), f);
        behind = true;
      }
      if (ends) return;
    }
  }

  using Chunks = boost::intrusive::slist<LogChunk, boost::intrusive::constant_time_size<false>,
                                         boost::intrusive::cache_last<true>>;

  /// Takes out the entries for which `keep` is false, handing each to `drop`, and the chunks that become empty.
  /// Allocates nothing.
  template <class Keep, class Drop>
  void filter(Keep&& keep, Drop&& drop, Chunks& emptied) {
    UndoLog kept;
    while (!chunks_.empty()) {
      LogChunk& chunk = chunks_.front();
      chunks_.pop_front();
      chunk.filter(keep, drop);
      kept.take_chunk(chunk, emptied);
    }
    chunks_.swap(kept.chunks_);
    size_ = kept.size_;
  }

  /// Takes over another log's entries, and hands out the chunks that become empty. Allocates nothing.
  void take_over(UndoLog& other, Chunks& emptied) noexcept {
    while (!other.chunks_.empty()) {
      LogChunk& chunk = other.chunks_.front();
      other.chunks_.pop_front();
      take_chunk(chunk, emptied);
    }
    other.size_ = 0;
  }

  std::uint64_t size() const noexcept { return size_; }

 private:
  /// The chunk with most room stays the last: that is where append() and the next chunk's entries go.
  void take_chunk(LogChunk& chunk, Chunks& emptied) noexcept {
    size_ += chunk.entries();
    if (chunk.entries() == 0) return emptied.push_back(chunk);
    if (chunks_.empty()) return chunks_.push_back(chunk);
    LogChunk& last = chunks_.back();
    if (last.has_room(chunk.entries())) {
      chunk.for_each(0, chunk.slots(), [&](const LogEntry& entry) { last.append(entry); });
      emptied.push_back(chunk);
    } else if (chunk.slots() < last.slots()) {
      chunks_.push_back(chunk);
    } else {
      chunks_.push_front(chunk);
    }
  }

  Chunks chunks_;
  std::uint64_t size_ = 0;
};

}  // namespace cow

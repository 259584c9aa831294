// History, the frames that hold before-images. Every one of them is mapped through a private alias for as long
// as the file lives, so that filling one is a memcpy. Not locked: its file's lock covers it.
#pragma once

#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>

#include "kernel/book_memory.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

class History {
 public:
  History() noexcept = default;
  History(const History&) = delete;
  History& operator=(const History&) = delete;
  ~History();

  os::Error open(const char* name) noexcept;

  /// Makes sure that the next `count` calls of take() succeed: their memory is there, so that filling them cannot fail.
  os::Error make_room(std::uint64_t count) noexcept COW_FILE_LOCKED;
  /// A frame of arbitrary content, after make_room(). The one freed last comes first: it is still in the cache.
  Frame take() noexcept COW_FILE_LOCKED;
  void give_back(Frame frame) noexcept COW_FILE_LOCKED;

  std::byte* address(Frame frame) const noexcept;
  /// How many clones' borrowed pages show this frame, where nothing else does.
  std::uint32_t& loose_count(Frame frame) noexcept COW_FILE_LOCKED { return counts_of(frame).loose; }
  /// How many show it, whoever else does.
  std::uint32_t times_shown(Frame frame) const noexcept COW_FILE_LOCKED { return counts_of(frame).shown; }
  void count_shown(Frame first, std::uint64_t count, bool more) noexcept COW_FILE_LOCKED {
    for (std::uint64_t i = 0; i < count; ++i) counts_of(first + i).shown += more ? 1 : ~std::uint32_t{0};
  }

  const os::Descriptor& fd() const noexcept { return fd_; }
  std::uint64_t offset(Frame frame) const noexcept { return (frame - first_frame) * page_bytes_; }

  std::uint64_t used() const noexcept COW_FILE_LOCKED { return used_; }
  std::uint64_t free_with_memory() const noexcept COW_FILE_LOCKED { return warm_count_; }

  /// So many free frames keep their memory. Set once, before anybody else knows of the file; make_room() gets them.
  void keep_in_reserve(std::uint64_t frames) noexcept { reserve_ = frames; }
  std::uint64_t reserve() const noexcept { return reserve_; }

  /// More frames are kept with their memory than the next snapshots will want: some should be cooled.
  bool overfull() const noexcept COW_FILE_LOCKED {
    return warm_count_ * page_bytes_ > warm_bytes_kept && warm_count_ > reserve_;
  }
  /// Takes up to `most` free frames out, to have their memory given back; then cooled() takes their numbers.
  std::size_t take_surplus(Frame* frames, std::size_t most) noexcept COW_FILE_LOCKED;
  void cooled(Frame frame) noexcept COW_FILE_LOCKED { (void)cold_.push_back(frame); }

  /// Frame numbers of history start here; planes' are below.
  static constexpr Frame first_frame{std::uint64_t{1} << 62};
  static constexpr Frame end_frame{std::uint64_t{1} << 63};  // those of saved files are above
  static bool owns(Frame frame) noexcept { return frame >= first_frame && frame < end_frame; }

 private:
  struct Counts {
    std::uint32_t loose, shown;
  };
  struct Segment {
    std::byte* alias = nullptr;
    Counts* counts = nullptr;  // zeros at first
  };
  // A free frame that has its memory carries the hook in that memory.
  struct Free : boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    Frame frame;
  };

  static constexpr std::uint64_t first_segment_frames = 4096;  // each next segment is twice as long
  static constexpr int most_segments = 40;
  static constexpr std::uint64_t populate_batch = 64;
  static constexpr std::uint64_t warm_bytes_kept = std::uint64_t{128} << 20;

  static int segment_of(std::uint64_t index) noexcept;
  static std::uint64_t segment_start(int segment) noexcept {
    return first_segment_frames * ((std::uint64_t{1} << segment) - 1);
  }
  static std::uint64_t segment_frames(int segment) noexcept { return first_segment_frames << segment; }

  Counts& counts_of(Frame frame) const noexcept;
  os::Error add_segment() noexcept COW_FILE_LOCKED;
  os::Error warm_some() noexcept COW_FILE_LOCKED;

  Segment segments_[most_segments];
  COW_BY_FILE_LOCK int segment_count_ = 0;
  os::Descriptor fd_;
  std::size_t page_bytes_ = 0;
  COW_BY_FILE_LOCK std::uint64_t fresh_ = 0;  // frames from this index on were never used
  COW_BY_FILE_LOCK std::uint64_t used_ = 0;
  COW_BY_FILE_LOCK std::uint64_t warm_count_ = 0;
  std::uint64_t reserve_ = 0;
  COW_BY_FILE_LOCK boost::intrusive::slist<Free, boost::intrusive::constant_time_size<false>> warm_;
  COW_BY_FILE_LOCK BookVector<Frame> cold_;  // free frames whose memory was given back
};

}  // namespace cow

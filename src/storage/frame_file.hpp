// The memory file of a family of arenas (an arena, its clones, their clones). Planes hold live pages and what
// writers left behind; history holds before-images. Owns which frames are in use; knows nothing of births or snapshots.
#pragma once

#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>

#include "kernel/book_memory.hpp"
#include "kernel/fault_lock.hpp"
#include "kernel/page_counts.hpp"
#include "kernel/page_set.hpp"
#include "storage/history.hpp"
#include "storage/saved_files.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

/// A sparse range of frames as long as an arena, in which page p sits at base + p: an arena's home is one, and
/// writers that must leave home move to others, so that neighbours stay neighbours.
struct Plane : boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  std::uint32_t index = 0;
  Frame base;
  COW_BY_FILE_LOCK PageSet used;         // frames that hold content of some page, by page
  COW_BY_FILE_LOCK PageCounts shown;     // by page: how many clones show the frame
  /// By page: how many clones' borrowed pages show the frame, where nothing else does.
  std::uint32_t* loose_counts = nullptr;
  COW_BY_FILE_LOCK std::uint64_t loose = 0;  // frames whose loose count is not zero
  COW_BY_FILE_LOCK bool owned = false;   // by an arena or its versions; else it stays for its loose frames only
  std::size_t memory_bytes = 0;

  Frame frame_of(Page p) const noexcept { return base + p.value; }
};

class FrameFile {
 public:
  explicit FrameFile(std::uint64_t pages_per_plane) noexcept;
  ~FrameFile();
  FrameFile(const FrameFile&) = delete;
  FrameFile& operator=(const FrameFile&) = delete;

  os::Error open(const char* name) noexcept;

  /// Covers everything below, and the lending of frames. Taken after any arena's fault lock, before nothing.
  FileLock& lock() noexcept { return lock_; }

  // -- With the lock held ---------------------------------------------------------------------------------------

  os::Result<Plane*> add_plane() noexcept COW_FILE_LOCKED;
  /// Its owner is gone: it goes when its last frame does, which may be now.
  void disown(Plane& plane) noexcept COW_FILE_LOCKED;
  void remove_if_unused(Plane& plane) noexcept COW_FILE_LOCKED;

  Plane& plane(std::uint32_t index) const noexcept { return *planes_[index]; }
  /// None where its plane is gone, and for saved files, whose frames nobody uses up.
  Plane* find_plane(Frame frame) const noexcept {
    return SavedFiles::owns(frame) ? nullptr : planes_[frame.value / pages_];
  }
  Plane& plane_of(Frame frame) const noexcept { return *find_plane(frame); }
  Page page_of(Frame frame) const noexcept { return {frame.value % pages_}; }
  History& history() noexcept { return history_; }
  std::uint64_t frames_used() const noexcept COW_FILE_LOCKED;

  std::uint32_t& loose_count(Frame frame) noexcept COW_FILE_LOCKED {
    return History::owns(frame) ? history_.loose_count(frame) : plane_of(frame).loose_counts[page_of(frame).value];
  }
  /// How many clones show a frame that they borrow. Nobody counts for saved files.
  std::uint32_t times_shown(Frame frame) const noexcept COW_FILE_LOCKED {
    if (History::owns(frame)) return history_.times_shown(frame);
    const Plane* plane = find_plane(frame);
    return plane == nullptr ? 0 : plane->shown.of(page_of(frame));
  }
  /// One clone more shows so many frames, or one less.
  void count_shown(Frame first, std::uint64_t count, bool more) noexcept COW_FILE_LOCKED;
  /// Keeps the total of loose frames, by plane and in all.
  void count_loose(Frame frame, bool more) noexcept COW_FILE_LOCKED;
  std::uint64_t loose_frames() const noexcept COW_FILE_LOCKED { return loose_; }

  // -- Without the lock -----------------------------------------------------------------------------------------

  const os::Descriptor& fd(Frame frame) const noexcept {
    if (SavedFiles::owns(frame)) return saved_.fd(frame);
    return History::owns(frame) ? history_.fd() : fd_;
  }
  std::uint64_t offset(Frame frame) const noexcept {
    if (SavedFiles::owns(frame)) return SavedFiles::page_of(frame) * page_bytes_;
    return History::owns(frame) ? history_.offset(frame) : frame.value * page_bytes_;
  }
  SavedFiles& saved() noexcept { return saved_; }
  const SavedFiles& saved() const noexcept { return saved_; }
  /// Memory behind the file, as the kernel counts it.
  std::uint64_t allocated_bytes() const noexcept {
    return os::allocated_bytes(fd_) + os::allocated_bytes(history_.fd());
  }
  /// EBADF where the program has closed the file's descriptors.
  os::Error check() const noexcept {
    return os::still_ours(fd_) && os::still_ours(history_.fd()) && saved_.all_still_ours() ? os::Error{}
                                                                                          : os::Error{EBADF};
  }
  std::size_t page_bytes() const noexcept { return page_bytes_; }
  std::uint64_t pages() const noexcept { return pages_; }
  os::Error punch(Frame first, std::uint64_t count) noexcept {
    return os::punch(fd(first), offset(first), count * page_bytes_);
  }
  /// Gives back the memory of free history frames beyond what is worth keeping.
  void trim() noexcept;

  /// Planes that one file can have: the bits that a page's entry has for it.
  static constexpr std::uint32_t most_planes = 1u << 18;

 private:
  FileLock lock_;
  os::Descriptor fd_;
  std::size_t page_bytes_;
  std::uint64_t pages_;
  BookBuffer table_;
  Plane** planes_ = nullptr;
  COW_BY_FILE_LOCK std::uint32_t plane_count_ = 0;
  COW_BY_FILE_LOCK BookVector<std::uint32_t> free_indices_;
  COW_BY_FILE_LOCK std::uint64_t loose_ = 0;
  History history_;
  SavedFiles saved_;
};

/// Gives frames back that nobody shows any more: history's at once, planes' in runs, punched before they are free.
/// Takes the file's lock itself, for each. Asynchronous signals are blocked for as long as it lives.
class FrameRelease {
 public:
  explicit FrameRelease(FrameFile& file) noexcept COW_SIGNALS_BLOCKED : file_(file) {}
  ~FrameRelease() COW_SIGNALS_BLOCKED { flush(); }
  FrameRelease(const FrameRelease&) = delete;
  FrameRelease& operator=(const FrameRelease&) = delete;

  void add(Frame frame) noexcept COW_SIGNALS_BLOCKED;
  void add(Frame first, std::uint64_t count) noexcept COW_SIGNALS_BLOCKED;
  void flush() noexcept COW_SIGNALS_BLOCKED;

 private:
  FrameFile& file_;
  Frame first_{};
  std::uint64_t count_ = 0;
};

}  // namespace cow

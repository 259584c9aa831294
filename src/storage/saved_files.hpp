// Saved files that an arena was loaded from and reads where its pages were not written yet: frames that nobody writes
// and nobody frees. Added before anybody else knows of the family, and never changed.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "kernel/book_memory.hpp"
#include "kernel/disk.hpp"
#include "kernel/os.hpp"
#include "storage/history.hpp"
#include "words/units.hpp"

namespace cow {

class SavedFiles {
  static constexpr int page_bits = 48;

 public:
  SavedFiles() noexcept = default;
  SavedFiles(const SavedFiles&) = delete;
  SavedFiles& operator=(const SavedFiles&) = delete;
  ~SavedFiles() {
    for (const File& file : files_) os::close_file(file.fd);
  }

  /// Long runs stand in files by such blocks, written as one each: kernels with large folios keep them in one piece
  /// then, and map them with few faults (Linux 6.18, ext4).
  static constexpr std::size_t large_block_bytes = std::size_t{1} << 20;

  /// Frame numbers of saved files start here: which file, and which page of it.
  static constexpr Frame first_frame = History::end_frame;
  static bool owns(Frame frame) noexcept { return frame >= first_frame && frame != zero_frame; }
  static constexpr Frame frame_of(std::size_t file, std::uint64_t page) noexcept {
    return first_frame + (std::uint64_t{file} << page_bits) + page;
  }
  /// How many files there can be, and how many pages of each have numbers.
  static constexpr std::size_t most_files = std::size_t{1} << 14;
  static constexpr std::uint64_t most_pages = std::uint64_t{1} << page_bits;

  /// Takes the descriptor over when it succeeds. EOVERFLOW: there are too many.
  os::Error add(const os::Descriptor& fd, std::uint64_t pages) noexcept {
    if (files_.size() == most_files) return {EOVERFLOW};
    return files_.push_back({fd, std::min(pages, most_pages)});
  }
  bool empty() const noexcept { return files_.empty(); }

  const os::Descriptor& fd(Frame frame) const noexcept { return files_[(frame - first_frame) >> page_bits].fd; }
  /// Whole pages of the file that the frame is in.
  std::uint64_t pages(Frame frame) const noexcept { return files_[(frame - first_frame) >> page_bits].pages; }
  static std::uint64_t page_of(Frame frame) noexcept {
    return (frame - first_frame) & ((std::uint64_t{1} << page_bits) - 1);
  }
  /// Whether it is one of them.
  bool has(const os::FileKind& kind) const noexcept {
    return std::any_of(files_.begin(), files_.end(), [&](const File& file) { return kind.same_file(file.fd); });
  }
  bool all_still_ours() const noexcept {
    for (const File& file : files_) {
      if (!os::still_ours(file.fd)) return false;
    }
    return true;
  }

 private:
  struct File {
    os::Descriptor fd;
    std::uint64_t pages;
  };

  BookVector<File> files_;
};

}  // namespace cow

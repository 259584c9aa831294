// Frames of versions, mapped for reading while an operation copies from them.
#pragma once

#include <cstddef>

#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"
#include "storage/frame_file.hpp"
#include "words/units.hpp"

namespace cow {

/// Frames of planes and saved files, mapped for reading: each that a list of runs needs, as a whole: one mapping.
/// Frames of history are mapped anyway.
class MappedFrames {
 public:
  explicit MappedFrames(FrameFile& file) noexcept : file_(file) {}
  ~MappedFrames() {
    for (const Mapped& mapped : mapped_) os::unmap(mapped.at, bytes(mapped));
  }
  MappedFrames(const MappedFrames&) = delete;
  MappedFrames& operator=(const MappedFrames&) = delete;

  /// So many frames from `first` on. EFAULT: they are in a saved file that was cut short.
  os::Error add(Frame first, std::uint64_t count = 1) noexcept {
    if (first == zero_frame || History::owns(first)) return {};
    if (find(first) == nullptr) {
      if (const os::Error error = map_all_round(first)) return error;
    }
    return SavedFiles::owns(first) ? os::touch(address(first), count * file_.page_bytes(), os::Access::read)
                                   : os::Error{};
  }

  bool has(Frame frame) const noexcept { return History::owns(frame) || find(frame) != nullptr; }
  /// Of one that it has.
  const std::byte* address(Frame frame) const noexcept {
    if (History::owns(frame)) return file_.history().address(frame);
    const Mapped* mapped = find(frame);
    return mapped->at + (frame - mapped->first) * file_.page_bytes();
  }

 private:
  struct Mapped {
    Frame first;
    std::uint64_t count;
    std::byte* at;
  };

  os::Error map_all_round(Frame frame) noexcept {
    const bool saved = SavedFiles::owns(frame);
    const std::uint64_t place = saved ? SavedFiles::page_of(frame) : frame.value % file_.pages();
    Mapped whole{frame - place, saved ? file_.saved().pages(frame) : file_.pages(), nullptr};
    const os::Result<void*> range = os::reserve_addresses(nullptr, bytes(whole));
    if (!range) return range.error;
    whole.at = static_cast<std::byte*>(range.value);
    os::Error error =
        os::map_file(whole.at, bytes(whole), os::Access::read, file_.fd(whole.first), file_.offset(whole.first));
    if (!error) error = mapped_.push_back(whole);
    if (error) os::unmap(whole.at, bytes(whole));
    return error;
  }

  std::size_t bytes(const Mapped& mapped) const noexcept { return mapped.count * file_.page_bytes(); }
  const Mapped* find(Frame frame) const noexcept {
    for (const Mapped& mapped : mapped_) {
      if (frame >= mapped.first && frame < mapped.first + mapped.count) return &mapped;
    }
    return nullptr;
  }

  FrameFile& file_;
  BookVector<Mapped> mapped_;
};

}  // namespace cow

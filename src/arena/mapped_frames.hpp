// Frames of versions, mapped for reading while an operation copies from them.
#pragma once

#include <cstddef>

#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"
#include "storage/frame_file.hpp"
#include "words/units.hpp"

namespace cow {

/// Frames of planes, mapped for reading: each plane that a list of runs needs, as a whole, which costs one mapping.
/// Frames of history are mapped anyway.
class MappedFrames {
 public:
  explicit MappedFrames(FrameFile& file) noexcept : file_(file) {}
  ~MappedFrames() {
    for (const Mapped& plane : planes_) os::unmap(plane.at, bytes());
  }
  MappedFrames(const MappedFrames&) = delete;
  MappedFrames& operator=(const MappedFrames&) = delete;

  os::Error add(Frame frame) noexcept {
    if (frame == zero_frame || History::owns(frame) || find(frame) != nullptr) return {};
    const os::Result<void*> range = os::reserve_addresses(nullptr, bytes());
    if (!range) return range.error;
    const Frame base = frame - frame.value % file_.pages();
    os::Error error = os::map_file(range.value, bytes(), os::Access::read, file_.fd(base), file_.offset(base));
    if (!error) error = planes_.push_back({base, static_cast<std::byte*>(range.value)});
    if (error) os::unmap(range.value, bytes());
    return error;
  }

  const std::byte* address(Frame frame) const noexcept {
    if (History::owns(frame)) return file_.history().address(frame);
    const Mapped* plane = find(frame);
    return plane->at + (frame - plane->base) * file_.page_bytes();
  }

 private:
  struct Mapped {
    Frame base;
    std::byte* at;
  };

  std::size_t bytes() const noexcept { return file_.pages() * file_.page_bytes(); }
  const Mapped* find(Frame frame) const noexcept {
    for (const Mapped& plane : planes_) {
      if (frame >= plane.base && frame < plane.base + file_.pages()) return &plane;
    }
    return nullptr;
  }

  FrameFile& file_;
  BookVector<Mapped> planes_;
};

}  // namespace cow

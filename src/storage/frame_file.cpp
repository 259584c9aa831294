// Planes and their frames. add_plane() and FrameRelease may run in the signal handler.
#include "storage/frame_file.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

namespace cow {

FrameFile::FrameFile(std::uint64_t pages_per_plane) noexcept : page_bytes_(os::page_size()), pages_(pages_per_plane) {}

FrameFile::~FrameFile() {
  for (std::uint32_t i = 0; i < plane_count_; ++i) {
    if (planes_[i] != nullptr) os::unmap(planes_[i], planes_[i]->memory_bytes);
  }
  os::close_file(fd_);
}

os::Error FrameFile::open(const char* name) noexcept {
  os::Result<BookBuffer> table = BookBuffer::reserve(most_planes * sizeof(Plane*));
  if (!table) return table.error;
  table_ = std::move(table.value);
  planes_ = reinterpret_cast<Plane**>(table_.data());
  const os::Result<os::Descriptor> fd = os::create_memory_file(name);
  if (!fd) return fd.error;
  fd_ = fd.value;
  return history_.open(name);
}

os::Result<Plane*> FrameFile::add_plane() noexcept {
  const bool reuse = !free_indices_.empty();
  const std::uint32_t index = reuse ? free_indices_.back() : plane_count_;
  const std::uint64_t file_bytes = std::uint64_t{1} << 62;  // half of what a file may have
  if (index == most_planes || index >= file_bytes / page_bytes_ / pages_) return {nullptr, {ENOSPC}};

  const std::size_t header = (sizeof(Plane) + 63) / 64 * 64;
  const std::size_t set_bytes = PageSet::bytes_for(pages_), counts_bytes = pages_ * sizeof(std::uint32_t);
  const std::size_t bytes = header + set_bytes + counts_bytes + PageCounts::bytes_for(pages_);
  const os::Result<void*> memory = os::reserve_books(bytes);
  if (!memory) return {nullptr, memory.error};
  std::byte* const at = static_cast<std::byte*>(memory.value);
  Plane* plane = ::new (memory.value) Plane;
  plane->index = index;
  plane->base = Frame{index * pages_};
  plane->used = PageSet(at + header, pages_);
  plane->loose_counts = reinterpret_cast<std::uint32_t*>(at + header + set_bytes);
  plane->shown = PageCounts(at + header + set_bytes + counts_bytes, pages_);
  plane->owned = true;
  plane->memory_bytes = bytes;

  planes_[index] = plane;
  if (reuse) {
    free_indices_.shrink_to(free_indices_.size() - 1);
  } else {
    ++plane_count_;
  }
  return {plane, {}};
}

void FrameFile::disown(Plane& plane) noexcept {
  plane.owned = false;
  remove_if_unused(plane);
}

void FrameFile::remove_if_unused(Plane& plane) noexcept {
  if (plane.owned || !plane.used.empty()) return;
  // Reading a page that was never written has given its frame memory: only punching it all makes the range new again.
  const bool as_new = !punch(plane.base, pages_);
  planes_[plane.index] = nullptr;
  if (as_new) (void)free_indices_.push_back(plane.index);  // else its number is given up: there are plenty
  os::unmap(&plane, plane.memory_bytes);
}

std::uint64_t FrameFile::frames_used() const noexcept {
  std::uint64_t used = 0;
  for (std::uint32_t i = 0; i < plane_count_; ++i) used += planes_[i] != nullptr ? planes_[i]->used.count() : 0;
  return used;
}

void FrameFile::count_shown(Frame first, std::uint64_t count, bool more) noexcept {
  if (History::owns(first)) return history_.count_shown(first, count, more);
  Plane* const plane = find_plane(first);
  if (plane == nullptr) return;
  const Pages run{page_of(first), count};
  more ? plane->shown.add(run) : plane->shown.take_off(run);
}

void FrameFile::count_loose(Frame frame, bool more) noexcept {
  const std::uint64_t one = more ? 1 : ~std::uint64_t{0};
  loose_ += one;
  if (!History::owns(frame)) plane_of(frame).loose += one;
}

void FrameFile::trim() noexcept {
  constexpr std::size_t batch = 256;
  Frame surplus[batch];
  for (;;) {
    std::size_t count = 0;
    {
      FaultLockGuard guard(lock_);
      count = history_.take_surplus(surplus, batch);
    }
    if (count == 0) return;
    std::sort(surplus, surplus + count);
    for (std::size_t i = 0, run = 0; i < count; i += run) {
      run = 1;
      while (i + run < count && surplus[i + run] == surplus[i] + run) ++run;
      (void)punch(surplus[i], run);  // history frames hold anything: one that keeps its memory only costs that
    }
    FaultLockGuard guard(lock_);
    for (std::size_t i = 0; i < count; ++i) history_.cooled(surplus[i]);
  }
}

void FrameRelease::add(Frame frame) noexcept {
  if (History::owns(frame)) {
    FaultLockHeld held(file_.lock());
    file_.history().give_back(frame);
    return;
  }
  add(frame, 1);
}

void FrameRelease::add(Frame first, std::uint64_t count) noexcept {
  const bool goes_on = count_ != 0 && first == first_ + count_ && file_.page_of(first) != Page{0};
  if (!goes_on) {
    flush();
    first_ = first;
    count_ = 0;
  }
  count_ += count;
}

void FrameRelease::flush() noexcept {
  if (count_ == 0) return;
  // Punched while still in use, so that nobody takes a frame before it reads as zero.
  (void)file_.punch(first_, count_);  // one that keeps its memory only costs that: whoever needs zeros punches again
  FaultLockHeld held(file_.lock());
  Plane& plane = file_.plane_of(first_);
  plane.used.erase({file_.page_of(first_), count_});
  count_ = 0;
  file_.remove_if_unused(plane);
}

}  // namespace cow

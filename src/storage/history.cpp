// History. make_room(), take() and give_back() run in the signal handler: no allocation but raw system calls.
#include "storage/history.hpp"

#include <bit>
#include <cerrno>
#include <new>

namespace cow {

History::~History() {
  for (int i = 0; i < segment_count_; ++i) {
    os::unmap(segments_[i].alias, segment_frames(i) * page_bytes_);
    os::unmap(segments_[i].counts, segment_frames(i) * sizeof(Counts));
  }
  os::close_file(fd_);
}

os::Error History::open(const char* name) noexcept {
  const os::Result<os::Descriptor> fd = os::create_memory_file(name);
  if (!fd) return fd.error;
  fd_ = fd.value;
  page_bytes_ = os::page_size();
  return {};
}

int History::segment_of(std::uint64_t index) noexcept {
  return static_cast<int>(std::bit_width(index / first_segment_frames + 1)) - 1;
}

std::byte* History::address(Frame frame) const noexcept {
  const std::uint64_t index = frame - first_frame;
  const int segment = segment_of(index);
  return segments_[segment].alias + (index - segment_start(segment)) * page_bytes_;
}

History::Counts& History::counts_of(Frame frame) const noexcept {
  const std::uint64_t index = frame - first_frame;
  const int segment = segment_of(index);
  return segments_[segment].counts[index - segment_start(segment)];
}

os::Error History::add_segment() noexcept {
  if (segment_count_ == most_segments) return {ENOSPC};
  const std::uint64_t frames = segment_frames(segment_count_);
  const std::size_t bytes = frames * page_bytes_;
  const os::Result<void*> alias = os::reserve_addresses(nullptr, bytes);
  if (!alias) return alias.error;
  os::Error error =
      os::map_file(alias.value, bytes, os::Access::read_write, fd_, segment_start(segment_count_) * page_bytes_);
  os::Result<void*> counts;
  if (!error) counts = os::reserve_books(frames * sizeof(Counts)), error = counts.error;
  if (error) return os::unmap(alias.value, bytes), error;
  os::hide_from_core_dumps(alias.value, bytes);  // a dump would fill its holes with memory
  os::hide_from_children(alias.value, bytes);    // shared and writable: a child must not be able to reach it
  segments_[segment_count_++] = {static_cast<std::byte*>(alias.value), static_cast<Counts*>(counts.value)};
  return {};
}

os::Error History::warm_some() noexcept {
  Frame first = first_frame + fresh_;
  std::uint64_t count = 1;
  const bool reuse = !cold_.empty();
  if (reuse) {
    first = cold_.back();
  } else {
    const int segment = segment_of(fresh_);
    if (segment == segment_count_) {
      if (const os::Error error = add_segment()) return error;
    }
    const std::uint64_t left = segment_start(segment) + segment_frames(segment) - fresh_;
    count = left < populate_batch ? left : populate_batch;
  }
  os::Error error = os::populate_for_writing(address(first), count * page_bytes_);
  if (error.code == EINVAL) error = {};  // a kernel before 5.14: the first store takes the memory
  if (error) return error;
  if (reuse) {
    cold_.shrink_to(cold_.size() - 1);
  } else {
    fresh_ += count;
  }
  used_ += count;  // give_back() takes them off again; the lowest is to be taken first
  for (std::uint64_t i = count; i-- != 0;) give_back(first + i);
  return {};
}

os::Error History::make_room(std::uint64_t count) noexcept {
  while (warm_count_ < count) {
    if (const os::Error error = warm_some()) return error;
  }
  return {};
}

Frame History::take() noexcept {
  const Frame frame = warm_.front().frame;
  warm_.pop_front();
  --warm_count_;
  ++used_;
  return frame;
}

void History::give_back(Frame frame) noexcept {
  Free* hook = ::new (static_cast<void*>(address(frame))) Free;
  hook->frame = frame;
  warm_.push_front(*hook);
  ++warm_count_;
  --used_;
}

std::size_t History::take_surplus(Frame* frames, std::size_t most) noexcept {
  std::size_t taken = 0;
  while (taken < most && overfull() && !cold_.make_room(most)) {
    frames[taken++] = warm_.front().frame;
    warm_.pop_front();
    --warm_count_;
  }
  return taken;
}

}  // namespace cow

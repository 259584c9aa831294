// See barrier/saved_mapping.hpp.
#include "barrier/saved_mapping.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/book_memory.hpp"
#include "kernel/disk.hpp"

namespace cow {
namespace {

constexpr std::size_t few_runs = 64;

/// A run of a saved file that goes on behind shorter runs of others.
struct Stretch {
  Run all{};
  const Run* end = nullptr;  // behind the last run that lies in it or on it
};

/// How far the file of a run goes on in line, with no page between that reads as zero and only short runs in front.
Stretch line_from(const Run* run, const Run* last) noexcept {
  Stretch line{*run, run + 1};
  Page covered = run->end();
  for (const Run* next = run + 1; next != last && next->first == covered; ++next) {
    covered = next->end();
    if (next->frame == line.all.frame_of(next->first)) {
      line.all.count = next->end() - line.all.first;
      line.end = next + 1;
    } else if (next->count >= length_worth_mapping || !SavedFiles::owns(next->frame)) {
      break;
    }
  }
  return line;
}

/// Copies runs over a mapping. Those that lie one behind the other in a file, as a layer's do, are read by one call.
class Copies {
 public:
  Copies(const FrameFile& file, std::byte* base) noexcept : file_(file), base_(base) {}

  os::Error add(const Run& run) noexcept {
    if (count_ == os::most_parts || (count_ != 0 && run.frame != next_)) {
      if (const os::Error error = finish()) return error;
    }
    if (count_ == 0) first_ = run.frame;
    const std::size_t page = file_.page_bytes();
    parts_[count_++] = {base_ + run.first.value * page, run.count * page};
    next_ = run.frame + run.count;
    return {};
  }
  os::Error finish() noexcept {
    if (count_ == 0) return {};
    return os::read_parts(file_.fd(first_), parts_, std::exchange(count_, 0), file_.offset(first_));
  }

 private:
  const FrameFile& file_;
  std::byte* const base_;
  Frame first_{}, next_{};
  std::size_t count_ = 0;
  os::Part parts_[os::most_parts];
};

/// Calls f(run) for each run of a line that lies on its first one, until one fails.
template <class F>
os::Error for_each_on(const Run* first, const Stretch& line, F&& f) noexcept {
  for (const Run* run = first + 1; run != line.end; ++run) {
    if (run->frame == line.all.frame_of(run->first)) continue;
    if (const os::Error error = f(*run)) return error;
  }
  return {};
}

/// Puts pages before the untouched ones of memory files that are mapped privately and read-only: with no fault, no copy
/// of what lies below and no protection to change afterwards, half the price of copying. Files on disks do not have it;
/// for them the kernel is not even asked, since some sandboxes end who asks for a userfaultfd.
class Filling {
 public:
  explicit Filling(const FrameFile& file) noexcept : file_(file) {}
  ~Filling() { os::close_file(userfaultfd_); }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

  /// False: it is not to be had, or not all of it; the line must be mapped anew.
  bool map(std::byte* base, const Run* first, const Stretch& line) noexcept {
    const std::size_t page = file_.page_bytes();
    std::byte* const at = base + line.all.first.value * page;
    const std::size_t bytes = line.all.count * page;
    if (!os::is_in_memory(file_.fd(first->frame)) || !begin() ||
        os::map_file_privately(at, bytes, file_.fd(first->frame), file_.offset(first->frame), os::Access::read)) {
      return false;
    }
    refused_ = static_cast<bool>(os::register_for_filling(userfaultfd_, at, bytes));
    return !refused_ && !for_each_on(first, line, [&](const Run& run) { return fill(base, run); });
  }

 private:
  static constexpr std::size_t buffer_bytes = std::size_t{1} << 16;

  bool begin() noexcept {
    if (refused_ || userfaultfd_.number != -1) return !refused_;
    os::Result<BookBuffer> memory = BookBuffer::reserve(std::max(buffer_bytes, file_.page_bytes()));
    const os::Result<os::Descriptor> opened = os::open_userfaultfd_with(0);
    userfaultfd_ = opened.value;
    refused_ = memory.error || opened.error;
    buffer_ = std::move(memory.value);
    return !refused_;
  }

  os::Error fill(std::byte* base, const Run& run) noexcept {
    const std::size_t page = file_.page_bytes();
    for (std::uint64_t done = 0, some = 0; done < run.count; done += some) {
      const Frame frame = run.frame + done;
      if (frame < read_ || !(frame < read_ + pages_read_)) {
        if (const os::Error error = read_from(frame)) return error;
      }
      const std::uint64_t in_buffer = frame - read_;
      some = std::min(run.count - done, pages_read_ - in_buffer);
      const os::Error error = os::fill_pages(userfaultfd_, base + (run.first.value + done) * page,
                                             buffer_.data() + in_buffer * page, some * page);
      if (error) return error;
    }
    return {};
  }

  /// What lies behind a page in its file is mostly wanted next.
  os::Error read_from(Frame frame) noexcept {
    const std::size_t page = file_.page_bytes(), bytes = std::max(buffer_bytes, page);
    const auto got = os::read_up_to(file_.fd(frame), buffer_.data(), bytes, file_.offset(frame));
    read_ = frame;
    pages_read_ = got.error ? 0 : got.value / page;
    return pages_read_ == 0 ? os::Error{EIO} : os::Error{};
  }

  const FrameFile& file_;
  os::Descriptor userfaultfd_;
  BookBuffer buffer_;
  Frame read_{};
  std::uint64_t pages_read_ = 0;
  bool refused_ = false;
};

/// The runs of a line over its first one's file, which is mapped.
os::Error copy_over(const FrameFile& file, std::byte* base, const Run* first, const Stretch& line) noexcept {
  Copies copies(file, base);
  const os::Error error = for_each_on(first, line, [&](const Run& run) { return copies.add(run); });
  return error ? error : copies.finish();
}

}  // namespace

os::Error touch_what_may_vanish(const ArenaBooks& books, Pages run, os::Access access) noexcept {
  if (books.family.file.saved().empty()) return {};
  for (Page p = run.first; p < run.end();) {
    Page end = p;
    while (end < run.end() && may_vanish(books, end) && !books.is_excluded(end)) ++end;
    if (p < end) {
      if (const os::Error error = os::touch(books.address_of(p), books.bytes(end - p), access)) return error;
    }
    p = end + 1;
  }
  return {};
}

bool scattered_in_saved_files(const FrameFile& file, const RunList& runs) noexcept {
  return runs.size() > few_runs && !file.saved().empty();
}

os::Error map_saved_with_copies(const FrameFile& file, std::byte* base, const RunList& runs) noexcept {
  const std::size_t page = file.page_bytes();
  const auto address = [&](Page p) { return base + p.value * page; };
  Filling filling(file);
  for (const Run* run = runs.begin(); run != runs.end();) {
    const Stretch line = line_from(run, runs.end());
    std::byte* const at = address(line.all.first);
    const std::size_t bytes = line.all.count * page;
    const os::Descriptor& fd = file.fd(run->frame);
    const std::uint64_t offset = file.offset(run->frame);
    if (line.end == run + 1) {
      if (const os::Error error = os::map_file(at, bytes, os::Access::read, fd, offset)) return error;
      ++run;
      continue;
    }
    if (!filling.map(base, run, line)) {
      if (const os::Error error = os::map_file_privately(at, bytes, fd, offset)) return error;
      if (const os::Error error = copy_over(file, base, run, line)) return error;
      if (const os::Error error = os::protect(at, bytes, os::Access::read)) return error;
    }
    run = line.end;
  }
  return {};
}

std::uint64_t mappings_with_copies(const RunList& runs) noexcept {
  std::uint64_t count = 1;
  for (const Run* run = runs.begin(); run != runs.end(); run = line_from(run, runs.end()).end) {
    count += 2;  // and the gap before it
  }
  return count;
}

}  // namespace cow

// See barrier/saved_mapping.hpp.
#include "barrier/saved_mapping.hpp"

#include <utility>

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

/// The runs of a line over its first one's file, which is mapped.
os::Error copy_over(const FrameFile& file, std::byte* base, const Run* first, const Stretch& line) noexcept {
  Copies copies(file, base);
  for (const Run* run = first + 1; run != line.end; ++run) {
    if (run->frame == line.all.frame_of(run->first)) continue;
    if (const os::Error error = copies.add(*run)) return error;
  }
  return copies.finish();
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
    if (const os::Error error = os::map_file_privately(at, bytes, fd, offset)) return error;
    if (const os::Error error = copy_over(file, base, run, line)) return error;
    if (const os::Error error = os::protect(at, bytes, os::Access::read)) return error;
    run = line.end;
  }
  return {};
}

}  // namespace cow

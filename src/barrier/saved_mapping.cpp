// See barrier/saved_mapping.hpp.
#include "barrier/saved_mapping.hpp"

namespace cow {
namespace {

constexpr std::size_t few_runs = 64;
constexpr std::uint64_t length_worth_mapping = 16;

/// A run of a saved file that goes on behind shorter runs of others.
struct Line {
  Run all{};
  const Run* end = nullptr;  // behind the last run that lies in it or on it
};

/// How far the file of a run goes on in line, with no page between that reads as zero and only short runs in front.
Line line_from(const Run* run, const Run* last) noexcept {
  Line line{*run, run + 1};
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

}  // namespace

bool scattered_in_saved_files(const FrameFile& file, const RunList& runs) noexcept {
  return runs.size() > few_runs && !file.saved().empty();
}

os::Error map_saved_with_copies(const FrameFile& file, std::byte* base, const RunList& runs) noexcept {
  const std::size_t page = file.page_bytes();
  const auto address = [&](Page p) { return base + p.value * page; };
  for (const Run* run = runs.begin(); run != runs.end();) {
    const Line line = line_from(run, runs.end());
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
    for (++run; run != line.end; ++run) {
      if (run->frame == line.all.frame_of(run->first)) continue;
      const os::Error error =
          os::read_at(file.fd(run->frame), address(run->first), run->count * page, file.offset(run->frame));
      if (error) return error;
    }
    if (const os::Error error = os::protect(at, bytes, os::Access::read)) return error;
  }
  return {};
}

}  // namespace cow

// The content of a version as a list of runs, and making that list short. See books/versions.hpp.
#include <algorithm>
#include <cerrno>

#include "books/versions.hpp"

namespace cow {
namespace {

/// Appends runs in the order of pages, live ones or those of an older list, with the version's kept pages in place of
/// what is there; but for those of `copies`, which hold the same.
class RunMerger {
 public:
  RunMerger(const Version& version, const RunList& copies, RunList& runs) noexcept
      : next_(version.kept.begin()), end_(version.kept.end()), copies_(copies), runs_(runs) {}

  void add(Run live) noexcept {
    while (next_ != end_ && next_->page < live.end()) {
      const bool covered = next_->page >= live.first;
      if (covered && !copies_.empty() && copies_.find(next_->page) == live.frame_of(next_->page)) {
        ++next_;
        continue;
      }
      if (covered) {
        append({live.first, next_->page - live.first, live.frame});
        live = {next_->page + 1, live.end() - (next_->page + 1), live.frame_of(next_->page + 1)};
      }
      append({next_->page, 1, next_->frame});
      ++next_;
    }
    append(live);
  }

  os::Error finish() noexcept {
    for (; next_ != end_; ++next_) append({next_->page, 1, next_->frame});
    return error_;
  }

 private:
  void append(const Run& run) noexcept {
    if (!error_) error_ = runs_.append(run);
  }

  const KeptPage* next_;
  const KeptPage* end_;
  const RunList& copies_;
  RunList& runs_;
  os::Error error_;
};

void add_borrowed(const ArenaBooks& books, Page from, Page to, RunMerger& merger) noexcept {
  const RunList& base = books.borrower.base;
  for (const Run* run = base.from(from); run != base.end() && run->first < to; ++run) {
    const Page first = std::max(run->first, from), end = std::min(run->end(), to);
    merger.add({first, end - first, run->frame_of(first)});
  }
}

void add_own(const ArenaBooks& books, Pages run, RunMerger& merger) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end();) {
    const Page special = std::min({books.away.next(p), books.blank.next(p), run.end()});
    if (p < special) merger.add({p, special - p, books.home->frame_of(p)});
    if (special < run.end() && !books.blank.contains(special)) merger.add({special, 1, books.frame_of(special)});
    p = special + 1;
  }
}

/// The shortest length for which copying all shorter runs leaves at most `most` mappings.
std::uint64_t length_that_fits(const RunList& runs, std::uint64_t pages, std::uint64_t most) noexcept {
  for (std::uint64_t length = 2;; length *= 2) {
    std::uint64_t mappings = 1;
    bool copied_before = false;
    Page at{0};
    for (const Run& run : runs) {
      const bool copied = run.count < length;
      const bool gap = run.first != at;
      mappings += gap || !copied || !copied_before ? (gap ? 2 : 1) : 0;
      copied_before = copied;
      at = run.end();
    }
    if (mappings <= most || length > pages) return length;
  }
}

/// Copies one run to the same pages of a plane.
os::Error copy_run(FrameFile& file, const Run& run, const Plane& plane, BookBuffer& buffer) noexcept {
  const std::uint64_t at_once = buffer.size() / file.page_bytes();
  for (std::uint64_t done = 0; done < run.count; done += at_once) {
    const std::uint64_t count = std::min(at_once, run.count - done);
    const std::size_t bytes = count * file.page_bytes();
    const Frame from = run.frame + done, to = plane.frame_of(run.first + done);
    if (const os::Error error = os::read_at(file.fd(from), buffer.data(), bytes, file.offset(from))) return error;
    if (const os::Error error = os::write_at(file.fd(to), buffer.data(), bytes, file.offset(to))) return error;
  }
  return {};
}

os::Result<Plane*> add_plane(FrameFile& file) noexcept COW_SIGNALS_BLOCKED {
  FaultLockHeld held(file.lock());
  return file.add_plane();
}

void free_plane(FrameFile& file, Plane& plane, const RunList& copies) noexcept COW_SIGNALS_BLOCKED {
  {
    FrameRelease freed(file);
    for (const Run& run : copies) freed.add(run.frame, run.count);
  }
  FaultLockHeld held(file.lock());
  file.disown(plane);
}

/// From here on writers may move to the plane's free frames too.
os::Error share_plane(ArenaBooks& books, Plane& plane) noexcept COW_SIGNALS_BLOCKED {
  FaultLockHeld held(*books.fault_lock);
  return books.planes.push_back(&plane);
}

void take_frames(FrameFile& file, Plane& plane, Pages run) noexcept COW_SIGNALS_BLOCKED {
  FaultLockHeld held(file.lock());  // who counts frames looks at all planes
  plane.used.insert(run);
}

/// Takes the frames for all short runs on the plane.
os::Error copy_short_runs(Version& version, Plane& plane, std::uint64_t length, RunList& runs,
                          RunList& copies) noexcept COW_IN_OPERATION {
  FrameFile& file = version.books.family.file;
  os::Result<BookBuffer> buffer = BookBuffer::reserve(64 * file.page_bytes());
  if (!buffer) return buffer.error;
  for (const Run& run : version.runs) {
    Run shown = run;
    if (run.count < length) {
      shown.frame = plane.frame_of(run.first);
      if (const os::Error error = copies.append(shown)) return error;
      take_frames(file, plane, {run.first, run.count});
      if (const os::Error error = copy_run(file, run, plane, buffer.value)) return error;
    }
    if (const os::Error error = runs.append(shown)) return error;
  }
  return {};
}

}  // namespace

os::Error list_runs(const Version& version, RunList& runs) noexcept {
  const ArenaBooks& books = version.books;
  const RunList no_copies;  // what is live may name frames that are others' by now, where pages are kept
  RunMerger merger(version, no_copies, runs);
  Page at{0};
  for (Pages run = books.own.next_run(at); run.count != 0; run = books.own.next_run(at)) {
    add_borrowed(books, at, run.first, merger);
    add_own(books, run, merger);
    at = run.end();
  }
  add_borrowed(books, at, {books.pages}, merger);
  return merger.finish();
}

os::Error bring_up_to_date(Version& version) noexcept {
  RunList runs;
  RunMerger merger(version, version.flattened, runs);
  for (const Run& run : version.runs) merger.add(run);
  const os::Error error = merger.finish();
  if (!error) version.runs = std::move(runs);
  return error;
}

os::Error flatten(Version& version, std::uint64_t most) noexcept {
  ArenaBooks& books = version.books;
  if (version.runs.mappings(books.pages) <= most || version.runs.size() < 2) return {};
  if (!version.flattened.empty()) return {};  // others may show those copies by now
  const std::uint64_t length = length_that_fits(version.runs, books.pages, most);
  const os::Result<Plane*> plane = add_plane(books.family.file);
  if (!plane) return plane.error;
  RunList runs, copies;
  os::Error error = copy_short_runs(version, *plane.value, length, runs, copies);
  if (!error) error = share_plane(books, *plane.value);
  if (error) return free_plane(books.family.file, *plane.value, copies), error;
  release_flattened(version);  // frames that a clone still shows become loose
  version.flattened = std::move(copies);
  version.runs = std::move(runs);
  return {};
}

}  // namespace cow

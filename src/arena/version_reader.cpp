// Reading versions in bulk. See arena/version_reader.hpp.
#include "arena/version_reader.hpp"

#include <algorithm>
#include <cstring>

#include "arena/operation.hpp"
#include "books/versions.hpp"
#include "kernel/copy_page.hpp"

namespace cow {
namespace {

os::Result<Source> find_logged(Version& version, Page p) noexcept {
  if (const auto kept = version.kept.find(p)) return {{*kept, false, {}}, {}};
  const os::AsyncSignalsBlocked blocked;
  const OperationHeld operation(version.books);
  const LogEnd end = log_end_now(version.books);
  if (const os::Error error = sweep_for_look_ups(version, end)) return {{}, error};
  return {{version.kept.find(p).value_or(zero_frame), false, {}}, {}};
}

constexpr std::uint64_t most_sources = 64;

os::Error read_frames(const ArenaBooks& books, Frame first, std::uint64_t count, std::byte* into) noexcept {
  FrameFile& file = books.family.file;
  const std::size_t bytes = books.bytes(count);
  if (first == zero_frame) return std::memset(into, 0, bytes), os::Error{};
  if (!History::owns(first)) return os::read_at(file.fd(first), into, bytes, file.offset(first));
  for (std::uint64_t i = 0; i < count; ++i)
    copy_bytes(into + books.bytes(i), file.history().address(first + i), books.bytes(1));
  return {};
}

/// At most `most_sources`. Whoever writes a page meanwhile logs it before its entry changes, and changes the entry
/// before the content: entries that are the same afterwards vouch for what was read, and the others are asked again.
os::Error read_some_pages(Version& version, Pages run, std::byte* into) noexcept {
  const ArenaBooks& books = version.books;
  Source sources[most_sources];
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const os::Result<Source> source = find_source(version, run.first + i);
    if (!source) return source.error;
    sources[i] = source.value;
  }
  for (std::uint64_t i = 0, count = 0; i < run.count; i += count) {
    Run frames{run.first + i, 1, sources[i].frame};
    while (i + frames.count < run.count && frames.continues_in({frames.end(), 1, sources[i + frames.count].frame})) {
      ++frames.count;
    }
    count = frames.count;
    if (const os::Error error = read_frames(books, frames.frame, count, into + books.bytes(i))) return error;
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    if (!sources[i].live || books.table.still(run.first + i, sources[i].entry)) continue;
    if (const os::Error error = read_some_pages(version, {run.first + i, 1}, into + books.bytes(i))) return error;
  }
  return {};
}

}  // namespace

os::Result<Source> find_source(Version& version, Page p) noexcept {
  const ArenaBooks& books = version.books;
  const PageTable::Entry entry = books.table.get(p);
  // What is borrowed never changes.
  if (entry.birth == never_written) return {{books.borrower.base.find(p), false, entry}, {}};
  if (entry.birth <= version.epoch) return {{{entry.plane * books.pages + p.value}, true, entry}, {}};
  return find_logged(version, p);
}

os::Error read_pages(Version& version, Pages run, std::byte* into) noexcept {
  for (std::uint64_t done = 0; done < run.count; done += most_sources) {
    const Pages some{run.first + done, std::min(most_sources, run.count - done)};
    if (const os::Error error = read_some_pages(version, some, into + version.books.bytes(done))) return error;
  }
  return {};
}

os::Error list_content(Version& version, RunList& runs) noexcept {
  const Operation operation(version.books);
  if (const os::Error error = sweep_now(version)) return error;  // most of it, without keeping writers waiting
  FaultLockHeld held(*version.books.fault_lock);
  if (const os::Error error = sweep_logs(version, log_end(version.books))) return error;
  return list_runs(version, runs);
}

os::Error list_kept(Version& version, BookVector<Page>& pages) noexcept {
  const Operation operation(version.books);
  const LogEnd end = log_end_now(version.books);
  os::Error error;
  version.log.for_each_between({}, end.newest == &version ? end.mark : version.log.mark(), [&](const LogEntry& entry) {
    if (!error) error = pages.push_back(entry.page);
  });
  return error;
}

bool let_go(Version& version, const PageSet& done) noexcept {
  ArenaBooks& books = version.books;
  const Operation operation(books);
  if (version.handles.load(std::memory_order_acquire) != 1) return false;
  if (version.log.size() != 0) let_go_of_kept(version, done);
  return true;
}

}  // namespace cow

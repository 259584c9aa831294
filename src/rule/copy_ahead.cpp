// Copying ahead. See rule/copy_ahead.hpp.
#include "rule/copy_ahead.hpp"

#include <sys/single_threaded.h>

#include <algorithm>
#include <cstring>

#include "kernel/copy_page.hpp"
#include "kernel/fences.hpp"
#include "kernel/memory_sanitizer.hpp"

namespace cow {
namespace {

/// Pages copied ahead split the mapping round them for good, where writable pages are mappings of their own: they get a
/// part of what the process has left.
constexpr std::uint64_t share_of_mappings = 8;

/// A page leaves when it looks as it did so many intervals ago: a copy costs a tenth of a fault, so that a page may
/// miss some. An odd number, for those that alternate.
constexpr unsigned intervals_of_a_watch = 5;

/// A fingerprint of a page, to see later whether it has changed: a wrong "unchanged" costs one fault, never content.
COW_READS_UNINITIALIZED std::uint64_t fingerprint(const std::byte* page, std::size_t bytes) noexcept {
  std::uint64_t lanes[4] = {1, 2, 3, 4};
  for (std::size_t at = 0; at < bytes; at += sizeof lanes) {
    std::uint64_t words[4];
    std::memcpy(words, page + at, sizeof words);
    for (int i = 0; i < 4; ++i) lanes[i] = (lanes[i] ^ words[i]) * 0x9e3779b97f4a7c15u;
  }
  return (lanes[0] ^ lanes[1] >> 7) + (lanes[2] ^ lanes[3] >> 11);
}

}  // namespace

bool process_has_one_thread() noexcept { return __libc_single_threaded != 0; }
bool nobody_else_writes(const ArenaBooks& books) noexcept { return books.quiet_cuts || process_has_one_thread(); }

bool same_as_kept(const ArenaBooks& books, Page p, Frame kept) noexcept {
  const memory_sanitizer::ChecksOff off;
  return History::owns(kept) &&
         std::memcmp(books.address_of(p), books.family.file.history().address(kept), books.bytes(1)) == 0;
}

bool staying_pages_unchanged(const ArenaBooks& books) noexcept {
  std::uint64_t unchanged = 0;
  const UndoLog& log = books.newest->log;
  log.for_each_between({}, log.mark(), [&](const LogEntry& entry) COW_HELD_UNCHECKED {
    if (books.staying.contains(entry.page) && same_as_kept(books, entry.page, entry.frame)) ++unchanged;
  });
  return unchanged == books.staying.count();
}

CopyAhead::CopyAhead(ArenaBooks& books, bool quiet) noexcept
    : books_(books), watch_begins_(++books.intervals_watched >= intervals_of_a_watch || books.watched.empty()) {
  if (quiet) {
    if (watch_begins_) leave_those_that_stopped_changing();
    choose();
  } else {
    books_.staying.clear();
    books_.watched.clear();
  }
}

void CopyAhead::leave_those_that_stopped_changing() noexcept {
  for (const WatchedPage& known : books_.watched) {
    if (!books_.writable.contains(known.page)) continue;
    if (fingerprint(books_.address_of(known.page), books_.bytes(1)) != known.fingerprint) continue;
    books_.recurring.erase({known.page, 1});
    books_.written_twice.erase({known.page, 1});
  }
  books_.watched.clear();
}

void CopyAhead::choose() noexcept {
  const std::uint64_t most = books_.writable_pages_split ? MappingBudget::left() / share_of_mappings : books_.pages;
  books_.staying.clear();
  for (const Pages run : books_.recurring.runs()) {
    for (Page p = run.first; p < run.end() && books_.staying.count() < most; ++p) {
      if (books_.writable.contains(p)) {
        books_.staying.insert({p, 1});
      } else {
        books_.recurring.erase({p, 1});  // not written in this interval
      }
    }
  }
}

os::Error CopyAhead::make_room() noexcept {
  const std::uint64_t count = books_.staying.count();
  if (count == 0) return {};
  if (const os::Error error = UndoLog::make_room(books_.log_memory, count)) return error;
  if (const os::Error error = books_.copies.make_room(count)) return error;
  if (watch_begins_) {
    if (const os::Error error = books_.watched.make_room(count)) return error;
  }
  History& history = books_.family.file.history();
  FaultLockHeld held(books_.family.file.lock());
  if (const os::Error error = history.make_room(count)) return error;
  for (std::uint64_t i = 0; i < count; ++i) books_.copies.append(history.take());
  return {};
}

CopyAhead::~CopyAhead() {
  if (books_.copies.empty()) return;
  FaultLockHeld held(books_.family.file.lock());
  for (const Frame frame : books_.copies) books_.family.file.history().give_back(frame);
  books_.copies.clear();
}

void CopyAhead::protected_others() noexcept {
  if (books_.staying.empty()) {
    books_.writable.clear();
    if (!books_.writable_pages_split) return;
    books_.count_mappings(0 - books_.writable_edges);
    books_.writable_edges = 0;
    return;
  }
  for_each_run_less(books_.writable, books_.staying, [this](Pages run) COW_HELD_UNCHECKED {
    const Pages at_first{run.first, 0}, at_end{run.end(), 0};
    const Edges before = books_.edges(at_first) + books_.edges(at_end);
    books_.writable.erase(run);
    books_.count_mappings(before, books_.edges(at_first) + books_.edges(at_end));
  });
}

void CopyAhead::copy() noexcept {
  const History& history = books_.family.file.history();
  const Frame* copy = books_.copies.begin();
  for (Page p = books_.staying.next({0}); p != books_.staying.end(); p = books_.staying.next(p + 1), ++copy) {
    const std::byte* const content = books_.address_of(p);
    copy_bytes(history.address(*copy), content, books_.bytes(1));
    if (watch_begins_) books_.watched.append({p, fingerprint(content, books_.bytes(1))});
    const PageTable::Entry entry = books_.table.get(p);
    books_.newest->log.append(books_.log_memory, {p, *copy, entry.birth, true});
    books_.table.set(p, {books_.epoch, entry.plane});
    ++books_.made_writable.to_history;
  }
  fence(std::memory_order_release);  // the pages stay open: who sees what is stored to them next sees the entries
  books_.copies.clear();
  if (watch_begins_) books_.intervals_watched = 0;
}

}  // namespace cow

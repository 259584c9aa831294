// The books' account of the memory file beside the kernel's. Takes one lock at a time.
#include "cow/memory_account.hpp"

#include <algorithm>
#include <cerrno>

#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "faults/registry.hpp"
#include "words/amounts.hpp"

namespace cow {
namespace {

struct FrameRun {
  Frame first;
  std::uint64_t count = 0;
};

/// The frames of the planes that have memory behind them.
os::Error list_allocated(const FrameFile& file, BookVector<FrameRun>& runs) noexcept {
  const os::Descriptor& fd = file.fd(Frame{0});
  for (std::uint64_t at = 0;;) {
    const os::Result<std::uint64_t> begin = os::next_allocated(fd, at);
    if (begin.error == os::Error{ENXIO}) return {};
    if (!begin) return begin.error;
    const os::Result<std::uint64_t> end = os::next_hole(fd, begin.value);
    if (!end) return end.error;
    const std::uint64_t page = file.page_bytes();
    if (const os::Error error = runs.push_back({{begin.value / page}, (end.value - begin.value) / page})) return error;
    at = end.value;
  }
}

std::uint64_t count_in(const PageSet& set, Pages part) noexcept {
  std::uint64_t count = 0;
  for (const Pages run : set.runs(part)) count += run.count;
  return count;
}

/// How many frames of a run are in use.
std::uint64_t used_in(const FrameFile& file, const FrameRun& run) noexcept COW_FILE_LOCKED {
  std::uint64_t used = 0;
  for (std::uint64_t done = 0; done < run.count;) {
    const Frame at = run.first + done;
    const Page page = file.page_of(at);
    const std::uint64_t count = std::min(run.count - done, file.pages() - page.value);
    if (const Plane* plane = file.find_plane(at)) used += count_in(plane->used, {page, count});
    done += count;
  }
  return used;
}

std::uint64_t written_pages(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  return books.own.count() - books.blank.count();
}

bool has_memory_at_home(const ArenaBooks& books, Page p) noexcept {
  const Frame home = books.home->frame_of(p);
  const std::uint64_t at = books.family.file.offset(home);
  const os::Result<std::uint64_t> found = os::next_allocated(books.family.file.fd(home), at);
  return found && found.value == at;
}

/// Under the kernel barrier: pages stored to for the first time, of which the books know at the next cut. They have
/// memory in the file: it holds what was stored, or what the kernel has put beneath the front.
std::uint64_t pages_not_entered_yet(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  if (!books.barrier->collects) return 0;
  BookVector<Pages> written;
  if (fronts::list_written(books, written)) return 0;
  std::uint64_t count = 0;
  for (const Pages& run : written) {
    for (Page p = run.first; p < run.end(); ++p) {
      if (books.is_excluded(p)) continue;
      // Behind a front, or prepared and never stored to.
      if (books.fronts.taken.contains(p) && !has_memory_at_home(books, p)) continue;
      if (books.birth_of(p) == never_written || books.blank.contains(p)) ++count;
    }
  }
  return count;
}

struct FamilyCount {
  const Family* family;
  std::uint64_t pages = 0;            // in the books
  std::uint64_t not_entered_yet = 0;
};

FamilyCount written_pages_of_all(const Family& family) noexcept {
  FamilyCount count{&family};
  fault_registry::for_each_arena(
      [](ArenaBooks& books, void* context) COW_FAULT_LOCKED {
        FamilyCount& of = *static_cast<FamilyCount*>(context);
        if (&books.family != of.family) return;
        of.pages += written_pages(books);
        of.not_entered_yet += pages_not_entered_yet(books);
      },
      &count);
  return count;
}

std::uint64_t count_fronts(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::uint64_t count = 0;
  const PageSet& taken = books.fronts.taken;
  for (const Pages run : taken.runs()) {
    count += fronts::count_fronts(books, run);
  }
  return count;
}

std::uint64_t excluded_bytes(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::uint64_t bytes = 0;
  const PageSet& excluded = books.excluded;
  for (const Pages run : excluded.runs()) {
    bytes += os::resident_bytes(books.address_of(run.first), books.bytes(run.count));
  }
  return bytes;
}

}  // namespace

MemoryAccount account_memory(const Arena& arena) {
  ArenaBooks& books = usable(Access::books(arena), "account_memory");
  FrameFile& file = books.family.file;
  BookVector<FrameRun> allocated;
  throw_if(list_allocated(file, allocated), "listing the memory of an arena");
  const FamilyCount all = written_pages_of_all(books.family);
  MemoryAccount account;
  account.kernel_bytes = file.allocated_bytes();
  {
    FaultLockGuard guard(*books.fault_lock);
    account.live_bytes = books.bytes(written_pages(books) + pages_not_entered_yet(books));
    account.excluded_bytes = excluded_bytes(books);
    account.front_bytes = books.bytes(count_fronts(books));
  }
  FaultLockGuard guard(file.lock());
  std::uint64_t used = 0, with_memory = 0;
  for (const FrameRun& run : allocated) used += used_in(file, run), with_memory += run.count;
  const std::uint64_t all_live = books.bytes(all.pages + all.not_entered_yet);
  account.relatives_bytes = all_live - std::min(all_live, account.live_bytes);
  account.left_behind_bytes = books.bytes(file.frames_used() - std::min(file.frames_used(), all.pages));
  account.history_bytes = books.bytes(file.history().used());
  account.history_free_bytes = books.bytes(file.history().free_with_memory());
  account.read_only_bytes = books.bytes(with_memory - used - std::min(with_memory - used, all.not_entered_yet));
  account.untouched_bytes = books.bytes(file.frames_used() - used);
  return account;
}

std::string to_text(const MemoryAccount& account) {
  std::string text;
  const auto add = [&](const char* name, std::uint64_t bytes, char sign = ' ') {
    const std::string amount = readable_bytes(bytes);
    text.append(1, sign)
        .append(amount.size() < 10 ? 10 - amount.size() : 1, ' ')
        .append(amount)
        .append("  ")
        .append(name)
        .append("\n");
  };
  add("written by this arena", account.live_bytes);
  add("written by its relatives", account.relatives_bytes, '+');
  add("left behind for snapshots, views and clones", account.left_behind_bytes, '+');
  add("history", account.history_bytes, '+');
  add("history, free", account.history_free_bytes, '+');
  add("read, never written", account.read_only_bytes, '+');
  add("writable, not touched yet", account.untouched_bytes, '-');
  add("in all", account.total(), '=');
  add("as the kernel counts", account.kernel_bytes);
  if (account.front_bytes != 0) add("fronts besides, private memory of the process", account.front_bytes);
  if (account.excluded_bytes != 0) add("excluded pages besides, private memory of the process", account.excluded_bytes);
  return text;
}

}  // namespace cow

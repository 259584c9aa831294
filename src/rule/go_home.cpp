// See rule/go_home.hpp.
#include "rule/go_home.hpp"

#include <algorithm>
#include <utility>

#include "barrier/barrier.hpp"
#include "kernel/book_memory.hpp"
#include "rule/make_private.hpp"

namespace cow {
namespace {

constexpr std::uint64_t some_pages = 256, longest_run = 64, looks_for_each = 8;

/// How many pages may go, by how many were made writable since the last cut.
std::uint64_t most_now(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const FaultCounters& made = books.made_writable;
  const std::uint64_t pages = made.first_touch + made.sole_owner + made.moved + made.to_history;
  return some_pages + 2 * (pages - std::exchange(books.made_before_cut, pages));
}

/// The last epoch of which somebody may show frames. Asked once: others end their loans meanwhile, and pages that were
/// told apart by it would no longer be.
struct LentUpTo {
  explicit LentUpTo(const ArenaBooks& books) noexcept
      : epoch(books.lender.lent_epoch.load(std::memory_order_relaxed)) {}

  /// Whether somebody may show the frame that holds the page.
  bool covers(const ArenaBooks& books, Page p) const noexcept COW_FAULT_LOCKED {
    return books.birth_of(p).value <= epoch;
  }

  const std::uint64_t epoch;
};

/// Nobody needs what is in the page's frame at home. Where going would take a mapping nobody shows its frame elsewhere
/// either: it would be away again soon.
bool may_go(ArenaBooks& books, Page p, const LentUpTo& lent) noexcept COW_FAULT_LOCKED {
  if (books.prepared.contains(p) || books.blank.contains(p) || books.hollow.contains(p)) return false;
  if (books.fronts.unshared.contains(p)) return false;
  // Without a front the mapping shows the frame away, and would go on to.
  if (books.barrier->collects && !books.fronts.hidden.contains(p)) return false;
  if (!books.barrier->collects && lent.covers(books, p)) return false;
  FaultLockHeld held(books.family.file.lock());
  return !books.home->used.contains(p);
}

/// The part of a run from p on that one copy and one mapping can bring home.
Pages part_from(const ArenaBooks& books, Page p, Page end, const LentUpTo& lent) noexcept COW_FAULT_LOCKED {
  end = std::min(books.writable.next(p), end);
  Page q = p + 1;
  while (q < end && lent.covers(books, q) == lent.covers(books, p)) ++q;
  return {p, std::min(q, end) - p};
}

void enter_home(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  FrameRelease freed(books.family.file);
  for (Page p = run.first; p < run.end(); ++p) {
    const PageTable::Entry entry = books.table.get(p);
    const Frame left = books.frame_of(p);
    books.away.erase({p, 1});
    books.table.set(p, {entry.birth, books.home->index});
    freed.add(left, 1);
  }
}

/// Under the kernel barrier, where all was collected: the fronts hold what the frames do, and nothing is mapped anew.
/// Where home lies beneath a front, that may go from here on. Frames that are lent go to the versions that show them,
/// as if the pages had been written.
os::Error bring_home_behind_fronts(ArenaBooks& books, Pages run, bool shown) noexcept COW_FAULT_LOCKED {
  if (shown && books.newest != nullptr) {
    if (const os::Error error = UndoLog::make_room(books.log_memory, run.count)) return error;
  }
  if (const os::Error error = fill_frames(books, *books.home, run)) return error;
  const Moving moving(books);
  if (shown) {
    books.written = true;
    enter_moved(books, *books.home, run);
  } else {
    enter_home(books, run);
  }
  for (Page p = run.first; p < run.end(); ++p) {
    if (!books.fronts.beneath.contains(p)) books.fronts.hidden.erase({p, 1});
  }
  return {};
}

os::Error bring_home(ArenaBooks& books, Pages run, const LentUpTo& lent) noexcept COW_FAULT_LOCKED {
  if (books.barrier->collects) return bring_home_behind_fronts(books, run, lent.covers(books, run.first));
  if (const os::Error error = fill_frames(books, *books.home, run)) return error;
  const Edges before = books.edges(run);
  const Moving moving(books);
  const os::Error error = books.barrier->show_protected(books, run, books.home->frame_of(run.first));
  if (error) {
    free_frames(books, *books.home, run);
  } else {
    enter_home(books, run);
  }
  books.count_mappings(before, books.edges(run));
  return error;
}

/// From anywhere on, another place each time: where most of very many pages may not go, each cut looks at some.
os::Error list_between(ArenaBooks& books, const LentUpTo& lent, Page from, Page to, std::uint64_t& left,
                       std::uint64_t& looks, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  for (Page p = books.away.next(from); p < to && left != 0 && looks != 0; p = books.away.next(p)) {
    Page end = p;
    while (left != 0 && end < to && end - p < longest_run && books.away.contains(end) && may_go(books, end, lent)) {
      ++end;
      --left;
    }
    looks -= std::min(looks, end - p + 1);
    if (end == p) {
      ++p;
      continue;
    }
    if (const os::Error error = runs.push_back({p, end - p})) return error;
    p = end;
  }
  return {};
}

void list_homecomers(ArenaBooks& books, const LentUpTo& lent, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  if (books.away.empty()) return (void)most_now(books);
  std::uint64_t left = most_now(books), looks = looks_for_each * left;
  const Page start{books.epoch.value * 0x9E3779B97F4A7C15U % books.pages};
  if (list_between(books, lent, start, {books.pages}, left, looks, runs)) return;
  (void)list_between(books, lent, {0}, start, left, looks, runs);
}

}  // namespace

void go_home(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const LentUpTo lent(books);
  BookVector<Pages> runs;
  list_homecomers(books, lent, runs);
  if (books.half_protected) return;
  for (const Pages& run : runs) {
    for (Page p = run.first; p < run.end();) {
      const Pages part = part_from(books, p, run.end(), lent);
      if (part.count != 0 && bring_home(books, part, lent)) return;
      p = books.writable.next_absent(part.end(), run.end());
    }
  }
}

}  // namespace cow

// See arena/change_barrier.hpp.
#include "arena/change_barrier.hpp"

#include <algorithm>

#include "arena/barrier_costs.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/userfaultfd_extents.hpp"
#include "faults/install.hpp"
#include "faults/registry.hpp"
#include "rule/collect.hpp"
#include "rule/copy_ahead.hpp"
#include "rule/copy_on_write.hpp"

namespace cow {

std::atomic<bool> signals_wanted{false};

namespace {

/// Private mappings are made run by run: more than this are not worth it.
constexpr std::uint64_t most_runs = 1024;
/// So many more than the runs of an arena take are asked for: some of its pages will have to move.
constexpr std::uint64_t mappings_to_spare = 32;

/// From page p on, which is not excluded, what lies in one run of frames.
Run shown_run(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  const Frame frame = books.frame_of(p);
  if (frame != books.home->frame_of(p)) {
    Page end = p + 1;
    while (end.value < books.pages && books.frame_of(end) == frame + (end - p) && !books.is_excluded(end)) ++end;
    return {p, end - p, frame};
  }
  Page end = std::min(books.away.next(p), books.excluded.next(p));
  const RunList& base = books.borrower.base;
  for (const Run* run = base.from(p); run != base.end() && run->first < end; ++run) {
    const Page limit = std::min(run->end(), end);
    const Page borrowed = books.own.next_absent(std::max(run->first, p), limit);
    if (borrowed < limit) end = borrowed;
  }
  return {p, end - p, frame};
}

/// Behind the pages from p on that are excluded, or p.
Page behind_excluded(const ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  return books.is_excluded(p) ? books.excluded.next_absent(p) : p;
}

std::uint64_t count_runs(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::uint64_t count = 0;
  for (Page p{0}; p.value < books.pages; ++count) {
    const Page behind = behind_excluded(books, p);
    p = p < behind ? behind : shown_run(books, p).end();
  }
  return count;
}

void set_mappings(ArenaBooks& books, std::uint64_t count) noexcept COW_FAULT_LOCKED {
  books.count_mappings(count + books.excluded_seams - books.mappings);
  books.writable_edges = 0;
}

/// Under signals each run is a mapping, and each page that moves: without them stores would be deadly that are not now.
os::Error mappings_for_signals(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const std::uint64_t runs = count_runs(books);
  return os::try_mappings((runs > books.mappings ? runs - books.mappings : 0) + mappings_to_spare);
}

/// The frames hold the content, and nobody can store: shows them. Where the kernel has no mapping left, as it had
/// before, pages stay what they are, private and read-only; whoever writes them moves (Claim::move).
void show_frames(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const PageSet& taken = books.fronts.taken;
  std::uint64_t runs = 0;
  for (Page p{0}; p.value < books.pages; ++runs) {
    if (books.is_excluded(p)) {
      p = behind_excluded(books, p);
      continue;
    }
    const Run run = shown_run(books, p);
    const Pages pages{run.first, run.count};
    p = run.end();
    if (!taken.intersects(pages) || !map_in_place(books, pages, run.frame, os::Access::read)) continue;
    for (const Pages part : taken.runs(pages)) books.fronts.unshared.insert(part);
  }
  set_mappings(books, runs);
}

void begin_catching(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const WriteBarrier* chosen = mprotect_was_better(books) ? &mprotect_barrier : &best_with_signals();
  os::Result<os::Descriptor> file = chosen->open();
  if (file) {
    books.barrier_fd = file.value;
    if (chosen->attach(books)) file.error = {1};
  }
  if (!file) chosen = &mprotect_barrier;  // always works
  books.use_barrier(*chosen, chosen->splits_mappings);
  books.opened.clear();
  books.gaps = {};
  if (chosen == &userfaultfd_barrier && books.fronts.unshared.empty()) userfaultfd::open_with_content(books);
}

/// A plain arena: the barrier that was chosen when it was made takes over, which is no change of barriers. A failure
/// leaves it plain, and its mappings as they were.
os::Error make_first_cut_possible(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const std::uint64_t mappings = books.mappings, writable_edges = books.writable_edges;
  os::Error error = books.barrier->close_all(books);
  if (!error) error = enter_plain(books);
  if (error) {
    books.half_protected = static_cast<bool>(books.barrier->open_all(books));
    books.count_mappings(mappings - books.mappings);
    books.writable_edges = writable_edges;
    return error;
  }
  const WriteBarrier& then = *books.barrier->from_first_cut;
  books.use_barrier(then, then.splits_mappings);
  books.fronts.in_use.store(false, std::memory_order_release);
  return {};
}

}  // namespace

os::Error change_to_signals(ArenaBooks& books, const char* why) noexcept COW_FAULT_LOCKED {
  if (!books.barrier->collects) return {};
  if (is_plain(books)) return make_first_cut_possible(books);
  if (const os::Error error = mappings_for_signals(books)) return error;
  // From here on whoever stores waits in the handler: the kernel has flushed all other processors when it returns.
  os::Error error = books.barrier->close_all(books);
  if (!error) error = collect_for_the_last_time(books);
  if (error) {
    books.half_protected = static_cast<bool>(books.barrier->open_all(books));
    return error;
  }
  const Moving moving(books);
  show_frames(books);
  begin_catching(books);
  books.fronts.in_use.store(false, std::memory_order_release);
  books.fronts.forget();
  note_barrier_change(books, why);
  return {};
}

namespace {

/// Where no cut is made: what was prepared is in the kernel's hands until the next one. It stays open, as far as there
/// is memory for that.
os::Error change_between_cuts(ArenaBooks& books, const char* why) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  if (!books.barrier->collects) return {};
  const os::Error error = change_to_signals(books, why);
  if (!error) {
    for (const Pages run : books.prepared.runs()) (void)make_writable(books, run);
  }
  return error;
}

/// Extents without any content are fresh; the others are private, run by run of their frames.
os::Error show_privately(ArenaBooks& books, bool& any, std::uint64_t& mappings) noexcept COW_FAULT_LOCKED {
  for (Page p{0}; p.value < books.pages; ++mappings) {
    if (books.is_excluded(p)) {
      p = behind_excluded(books, p);
      continue;
    }
    const Run* const borrowed = books.borrower.base.from(p);
    Page next = std::min(books.own.next(p), Page{books.pages});
    if (borrowed != books.borrower.base.end()) next = std::min(next, std::max(borrowed->first, p));
    if (next.value < books.pages) next = std::max(p, Page{next.value / extent_pages * extent_pages});
    if (p < next) {
      const os::Error error = map_in_place(books, {p, next - p}, books.home->frame_of(p), os::Access::read_write);
      if (error) return error;
      any = true;
      p = next;
      continue;
    }
    const Page end{std::min((p.value / extent_pages + 1) * extent_pages, books.pages)};
    Run run = shown_run(books, p);
    run.count = std::min(run.end(), end) - run.first;
    if (const os::Error error = fronts::map_private(books, run)) return error;
    any = true;
    p = run.end();
  }
  return fronts::watch_all(books);
}

}  // namespace

namespace {

/// Pages that were copied ahead are open still: by the books of the next barrier nothing is.
void call_all_protected(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  books.staying.clear();
  books.writable.clear();
  books.prepared.clear();
  books.came_along.forget();
  books.half_protected = false;
}

/// For what takes no memory: what refuses it does not do so for long.
template <class F>
void ask_until_granted(F&& f) noexcept {
  constexpr int tries = 100;
  for (int i = 0; i < tries && f(); ++i) {}
}

/// Some of the mappings are private, and no more can be had: all show their frames again, protected by their mappings
/// alone; the barrier from before takes over from there. Where that is userfaultfd it watches what it can, and the rest
/// when pages are protected there: what it had protected still is, so that no other barrier would do.
void show_as_before(ArenaBooks& books, const WriteBarrier& before, const os::Descriptor& async) noexcept
    COW_FAULT_LOCKED {
  show_frames(books);
  ask_until_granted([&] { return protect_all(books, os::Access::read); });
  for (const Pages run : books.fronts.unshared.runs()) {
    ask_until_granted([&] { return os::unregister(async, books.address_of(run.first), books.bytes(run.count)); });
  }
  call_all_protected(books);
  books.use_barrier(before, before.splits_mappings);
  books.opened.clear();
  books.gaps = {};
  (void)before.attach(books);
  books.fronts.forget();
}

}  // namespace

void change_to_kernel(ArenaBooks& books, const char* why) noexcept COW_FAULT_LOCKED {
  if (!books.fronts.unshared.empty() || count_runs(books) > most_runs) return;
  map_home_alias(books);
  if (books.home_alias.load(std::memory_order_relaxed) == nullptr) return;
  const os::Result<os::Descriptor> file = kernel_barrier.open();
  if (!file) return;
  const os::Descriptor before = books.barrier_fd;
  const WriteBarrier& barrier_before = *books.barrier;
  const Moving moving(books);
  books.barrier_fd = file.value;
  std::uint64_t mappings = 0;
  bool any = false;
  os::Error error = kernel_barrier.attach(books);
  if (!error) {
    ++books.fronts.collections;  // who reads versions of the arena by its mapping begins again
    books.fronts.in_use.store(true, std::memory_order_release);
    error = show_privately(books, any, mappings);
  }
  if (!error) {
    books.use_barrier(kernel_barrier, false);
    call_all_protected(books);
    set_mappings(books, mappings);
    note_barrier_change(books, why);
    return;
  }
  books.barrier_fd = before;
  if (any) show_as_before(books, barrier_before, file.value);
  books.fronts.in_use.store(false, std::memory_order_release);
}

void change_if_better(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  if (books.asked != Barrier::kernel && books.asked != Barrier::automatic) return;
  const bool automatic = books.asked == Barrier::automatic;
  const bool unwelcome = signals_wanted.load(std::memory_order_relaxed) || books.slot->refusals != nullptr;
  if (books.barrier->collects) {
    const char* const why = books.slot->refusals != nullptr ? why_refusal : why_profile;
    if (unwelcome) return (void)change_to_signals(books, why);
    if (automatic && other_was_better(books)) {
      (void)change_to_signals(books, why_little);
    }
    return;
  }
  if (unwelcome || (automatic && !other_was_better(books)) || !kernel_barrier_exists()) return;
  change_to_kernel(books, automatic ? "so much is written that its faults cost more than looking for it"
                                    : "asked for, and cuts are quiet again");
}

void leave_mprotect_for_threads(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  const bool mprotect = books.barrier->kind == Barrier::mprotect && books.asked == Barrier::automatic;
  if (!mprotect || &best_with_signals() == &mprotect_barrier || process_has_one_thread()) return;
  if (!books.writable.empty() || !books.fronts.unshared.empty() || books.half_protected) return;
  const os::Result<os::Descriptor> file = userfaultfd_barrier.open();
  if (!file) return;
  books.barrier_fd = file.value;
  if (userfaultfd_barrier.attach(books)) return;
  books.use_barrier(userfaultfd_barrier, false);
  books.opened.clear();
  books.gaps = {};
  note_barrier_change(books, "threads write, whose faults mprotect serves one after the other");
}

void change_after_undoing(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED {
  if (books.asked == Barrier::automatic && signals_were_better(books)) (void)change_between_cuts(books, why_little);
}

void keep_handlers_for(const ArenaBooks& books) {
  const auto may_change = [&] { return books.asked != Barrier::mprotect && best_with_signals().needs_sigbus; };
  keep_handler_in_place(books.barrier->needs_sigbus || may_change());
}

void want_signals() noexcept {
  signals_wanted.store(true, std::memory_order_relaxed);
  on_ordinary_stack([]() COW_HELD_UNCHECKED {
    const os::AsyncSignalsBlocked blocked;
    fault_registry::begin_cut();  // no arena comes or goes, so that their slots are as they are without their locks
    fault_registry::for_each_published(os::process_generation(), [](FaultSlot& slot) COW_HELD_UNCHECKED {
      if (slot.books == nullptr || on_stack_inside(*slot.books)) return;
      const Operation operation(*slot.books);
      FaultLockHeld held(*slot.books->fault_lock);
      (void)change_between_cuts(*slot.books, why_profile);
    });
    fault_registry::end_cut();
  });
}

void give_signals_if_wanted(ArenaBooks& books) noexcept COW_SIGNALS_BLOCKED {
  if (!signals_wanted.load(std::memory_order_relaxed)) return;
  const OperationHeld operation(books);
  FaultLockHeld held(*books.fault_lock);
  (void)change_between_cuts(books, why_profile);
}

}  // namespace cow

// Collecting. See rule/collect.hpp.
#include "rule/collect.hpp"

#include <algorithm>
#include <cstring>

#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/fences.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "rule/claim.hpp"
#include "rule/make_private.hpp"
#include "rule/take_in.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

constexpr std::uint64_t batch = 64;
constexpr unsigned cuts_between_coolings = 32;

/// What the mapping of page p shows goes to the frame that the books name. That has memory if it was ever stored to.
os::Error store_in_frame(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  for (Page p = run.first; p < run.end(); ++p) {
    if (reached_by_alias(books, p) && !books.hollow.contains(p) && !may_vanish(books, p)) {
      copy_bytes(alias_of(books, p), books.address_of(p), books.bytes(1));
      continue;
    }
    const Frame frame = books.frame_of(p);
    if (const os::Error error = os::write_at(file.fd(frame), books.address_of(p), books.bytes(1), file.offset(frame))) {
      return error;
    }
    books.hollow.erase({p, 1});
  }
  return {};
}

bool home_is_free(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  FaultLockHeld held(books.family.file.lock());
  return !books.home->used.contains(p);
}

/// Pages that had to leave go home when nobody shows their frames there any more.
bool may_go_home(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  return books.away.contains(p) && home_is_free(books, p);
}

/// The page's mapping goes on showing what is beneath the front, which is another frame from now on, or its home.
void note_what_is_beneath(ArenaBooks& books, const Plane& plane, Pages run) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end(); ++p) {
    if (&plane == books.home && !books.fronts.beneath.contains(p)) {
      books.fronts.hidden.erase({p, 1});
    } else {
      books.fronts.hidden.insert({p, 1});
    }
  }
}

/// The front stays; its content goes to frames of a plane. Only pages with fronts: without one the mapping would go on
/// showing a frame that is given up.
os::Error move_behind_fronts(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (books.newest != nullptr) {
    if (const os::Error error = UndoLog::make_room(books.log_memory, run.count)) return error;
  }
  const os::Result<Plane*> plane = plane_with_room(books, run);
  if (!plane) return plane.error;
  if (const os::Error error = fill_frames(books, *plane.value, run)) return error;
  enter_moved(books, *plane.value, run);
  note_what_is_beneath(books, *plane.value, run);
  return {};
}

/// Which pages have fronts, for those that ask by ascending runs.
class KnownFronts {
 public:
  /// Where it finds out that a page has a front, it notes that here: ascending runs.
  BookVector<Pages>& found() noexcept { return found_; }

  /// Those of a run. Pages without a front were not written, whatever the kernel counted.
  os::Result<std::span<const Pages>> in(const ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
    while (at_ < found_.size() && found_.begin()[at_].end() <= run.first) ++at_;
    asked_.shrink_to(0);
    const bool known = at_ < found_.size() && found_.begin()[at_].first <= run.first &&
                       run.end() <= found_.begin()[at_].end();
    const os::Error error = known ? asked_.push_back(run) : fronts::list_fronts(books, run, asked_);
    return {asked_.span(), error};
  }

 private:
  BookVector<Pages> found_, asked_;
  std::size_t at_ = 0;
};

os::Error move_what_has_fronts(ArenaBooks& books, Pages run, KnownFronts& known) noexcept COW_FAULT_LOCKED {
  const os::Result<std::span<const Pages>> with_fronts = known.in(books, run);
  if (!with_fronts) return with_fronts.error;
  for (const Pages& part : with_fronts.value) {
    if (const os::Error error = move_behind_fronts(books, part)) return error;
    count(books.made_writable, Claim::move, part.count);
  }
  return {};
}

os::Error collect_in_place(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED {
  if (const os::Error error = make_private_in_place(books, run, claim)) return error;
  fence(std::memory_order_release);  // who sees the content sees the entries
  if (const os::Error error = store_in_frame(books, run)) return error;
  count(books.made_writable, claim, run.count);
  return {};
}

/// Pages from `first` on that are collected in one way.
struct Part {
  Pages pages;
  Claim claim;
};

Part next_part(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const Claim claim = claim_of(books, run.first);
  Pages part = run_of_claim(books, run.first, std::min(run.end(), run.first + batch), claim);
  if (claim == Claim::move || !books.away.intersects(part)) return {part, claim};
  const bool home = may_go_home(books, part.first);
  Page end = part.first + 1;
  while (end < part.end() && may_go_home(books, end) == home) ++end;
  return {{part.first, end - part.first}, home ? Claim::move : claim};
}

os::Error settle(ArenaBooks& books, KnownFronts& known) noexcept COW_FAULT_LOCKED {
  Page last_end{0};
  for (Pages run = books.fronts.uncollected.next_run({0}); run.count != 0;
       run = books.fronts.uncollected.next_run({0})) {
    const Part part = next_part(books, run);
    books.written = true;  // also where it fails half-way
    const os::Error error = part.claim == Claim::move ? move_what_has_fronts(books, part.pages, known)
                                                      : collect_in_place(books, part.pages, part.claim);
    if (error) return error;
    if (part.pages.first != last_end) ++books.fronts.runs_collected;
    last_end = part.pages.end();
    books.fronts.uncollected.erase(part.pages);
    const std::uint64_t before = books.fronts.present.count();
    books.fronts.present.insert(part.pages);
    books.fronts.fronts_new += books.fronts.present.count() - before;
    books.fronts.warm.insert(part.pages);
  }
  return {};
}

/// A page that was only read has memory too. It may as well have none; false where the kernel refuses. Not a prepared
/// one: a device may have its memory.
bool took_memory_of_unwritten(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  return claim_of(books, p) == Claim::first_touch && !books.prepared.contains(p) && fronts::reads_as_zero(books, p) &&
         !books.family.file.punch(books.home->frame_of(p), 1);
}

/// What fresh pages hold is in their frames already.
os::Error enter_fresh(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end();) {
    if (took_memory_of_unwritten(books, p)) {
      ++p;
      continue;
    }
    const Claim claim = claim_of(books, p);
    Pages part = run_of_claim(books, p, std::min(run.end(), p + batch), claim);
    for (Page q = p + 1; q < part.end(); ++q) {
      if (!books.prepared.contains(q) && fronts::reads_as_zero(books, q)) part.count = q - p;
    }
    if (claim == Claim::first_touch) {
      books.written = true;
      if (const os::Error error = make_private_in_place(books, part, claim)) return error;
      books.hollow.erase(part);
      count(books.made_writable, claim, part.count);
    }
    p = part.end();
  }
  return {};
}

/// Fresh pages that were stored to are the arena's own from now on. All of them: what a private mapping has taken is
/// listed no more.
os::Error enter_all_fresh(ArenaBooks& books, BookVector<Pages>& runs) noexcept COW_FAULT_LOCKED {
  if (const os::Error error = fronts::list_fresh_with_memory(books, runs)) return error;
  for (const Pages& run : runs) {
    if (const os::Error error = enter_fresh(books, run)) return error;
  }
  return {};
}

/// And their extents are watched. Their frames are stored to by the alias from here on: one that is made now takes over
/// the page tables that the arena's own mapping loses.
os::Error take_in_fresh(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  BookVector<Pages> runs;
  if (const os::Error error = enter_all_fresh(books, runs)) return error;
  const bool had_alias = books.home_alias.load(std::memory_order_relaxed) != nullptr;
  NewHomeAlias alias(books);
  for (const Pages& run : runs) {
    if (!books.own.intersects(run)) continue;  // it was only read
    for (Page p = books.fronts.taken.next_absent(run.first, run.end()); p < run.end();
         p = books.fronts.taken.next_absent(p, run.end())) {
      const Page end = std::min(run.end(), books.fronts.taken.next(p));
      if (const os::Error error = fronts::take_in(books, {p, end - p}, nullptr, &alias)) return error;
    }
    // Each page once: else the first copy to each would cost a fault of its own. All have memory, so that the kernel
    // makes sixteen writable at once, as reading them does; for writing it would take them one by one. A hint.
    if (had_alias) {
      (void)os::touch(alias_of(books, run.first), books.bytes(run.count), os::Access::read);
    }
  }
  return take_in_prepared(books);
}

os::Error collect_fronts(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  ++books.fronts.collections;
  if (!books.fronts.taken.empty()) map_home_alias(books);
  if (const os::Error error = fronts::find_written(books)) return error;
  KnownFronts known;
  if (const os::Error error = fronts::watch_all(books, &known.found())) return error;
  if (const os::Error error = settle(books, known)) return error;
  books.fronts.undone.clear();
  return {};
}

}  // namespace

os::Error collect(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const os::Error error = collect_fronts(books);
  return error ? error : take_in_fresh(books);
}

os::Error collect_for_the_last_time(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  BookVector<Pages> runs;
  const os::Error error = collect_fronts(books);
  return error ? error : enter_all_fresh(books, runs);
}

os::Error enter_ahead(ArenaBooks& books, Pages run, bool with_memory) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end();) {
    const Claim claim = claim_of(books, p);
    const Pages part = run_of_claim(books, p, run.end(), claim);
    if (claim == Claim::first_touch) {
      books.written = true;
      if (const os::Error error = make_private_in_place(books, part, claim)) return error;
      count(books.made_writable, claim, part.count);
    }
    p = part.end();
  }
  return with_memory ? give_memory(books, run) : os::Error{};
}

os::Error enter_plain(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  BookVector<Pages> runs;
  if (const os::Error error = fronts::list_fresh_with_memory(books, runs)) return error;
  for (const Pages& run : runs) {
    if (const os::Error error = enter_ahead(books, run, false)) return error;
    books.hollow.erase(run);
  }
  return {};
}

bool written_during_the_cut(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  BookVector<Pages> runs;
  if (fronts::list_written(books, runs)) return false;
  return std::any_of(runs.begin(), runs.end(), [&](const Pages& run) COW_FAULT_LOCKED {
    return books.fronts.warm.intersects(run);
  });
}

void drop_cold_fronts(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  Fronts& fronts = books.fronts;
  if (++fronts.cuts_since_cooled < cuts_between_coolings) return;
  fronts.cuts_since_cooled = 0;
  for (const Pages run : fronts.present.runs()) {
    for (Page p = run.first; p < run.end();) {
      const Page stays = std::min({fronts.warm.next(p), fronts.hidden.next(p), fronts.counted_on.next(p), run.end()});
      if (p < stays && fronts::drop(books, {p, stays - p})) return;
      p = stays + 1;
    }
  }
  fronts.warm.clear();
}

os::Error count_as_written(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const bool plain = is_plain(books);
  if (const os::Error error = plain ? enter_ahead(books, run, false) : take_in_ahead(books, run)) return error;
  books.prepared.insert(run);
  if (plain) return {};
  books.fronts.counted_on.insert(run);
  for (const Pages part : books.fronts.taken.runs(run)) books.fronts.uncollected.insert(part);
  return {};
}

namespace {

/// Calls punched(part, claim) for the parts of a run whose frames can lose their memory, one claim each: own pages at
/// home that no clone shows, and pages never written. others(part) for the rest, but for what is excluded.
template <class Punched, class Others>
os::Error for_each_discarded(ArenaBooks& books, Pages run, Punched&& punched, Others&& others) noexcept
    COW_FAULT_LOCKED {
  const auto kind = [&](Page p) COW_FAULT_LOCKED {
    const Claim claim = claim_of(books, p);
    const Fronts& fronts = books.fronts;
    const bool at_home = claim != Claim::move && !books.away.contains(p) && !fronts.beneath.contains(p) &&
                         !fronts.unwatched.contains(p);
    return at_home ? claim : Claim::move;
  };
  for (Page p = run.first; p < run.end();) {
    if (books.is_excluded(p)) {
      p = books.excluded.next_absent(p, run.end());
      continue;
    }
    const Claim claim = kind(p);
    const bool taken = books.fronts.taken.contains(p);
    Page end = p + 1;
    const auto joins = [&](Page q) COW_FAULT_LOCKED {
      return !books.is_excluded(q) && kind(q) == claim && books.fronts.taken.contains(q) == taken;
    };
    while (end < run.end() && joins(end)) ++end;
    const Pages part{p, end - p};
    const os::Error error = claim == Claim::move ? others(part) : punched(part, claim);
    if (error) return error;
    p = end;
  }
  return {};
}

/// As any write would: the next cut finds it.
void store_zeros(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  std::memset(books.address_of(run.first), 0, books.bytes(run.count));
}

void take_memory_away(ArenaBooks& books, Pages run, Claim claim) noexcept COW_FAULT_LOCKED {
  const bool taken = books.fronts.taken.contains(run.first);
  const bool punched = !(taken && fronts::drop(books, run)) &&
                       !books.family.file.punch(books.home->frame_of(run.first), run.count);
  if (!punched) return store_zeros(books, run);
  if (claim != Claim::first_touch) {
    books.blank.insert(run);
    FaultLockHeld held(books.family.file.lock());
    books.home->used.erase(run);
  }
  // Where protecting fails they count as written, which is no harm.
  if (taken && !fronts::protect_again(books, run)) books.fronts.uncollected.erase(run);
}

}  // namespace

os::Error prepare_to_discard(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const auto keep_for_versions = [&](Pages part, Claim claim) COW_FAULT_LOCKED {
    if (claim == Claim::first_touch) return os::Error{};
    books.written = true;
    return make_private_in_place(books, part, claim);
  };
  return for_each_discarded(books, run, keep_for_versions, [&](Pages part) COW_FAULT_LOCKED {
    return touch_what_may_vanish(books, part, os::Access::read_write);
  });
}

void discard_uncollected(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  (void)for_each_discarded(
      books, run,
      [&](Pages part, Claim claim) COW_FAULT_LOCKED {
        // Clones showed these frames when pages were prepared, so that nothing was, and have come to their end since.
        const bool prepared = claim != Claim::history;
        prepared ? take_memory_away(books, part, claim) : store_zeros(books, part);
        return os::Error{};
      },
      [&](Pages part) COW_FAULT_LOCKED { return store_zeros(books, part), os::Error{}; });
  memory_sanitizer::has_content(books.address_of(run.first), books.bytes(run.count));
}

}  // namespace cow

// Windows of pages become one mapping. See rule/consolidate.hpp, and rule/copy_on_write.hpp for the rules of the house.
#include "rule/consolidate.hpp"

#include <algorithm>
#include <cerrno>

#include "barrier/barrier.hpp"
#include "rule/claim.hpp"
#include "rule/make_private.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

constexpr std::uint64_t smallest_window = 16, largest_crowded_window = 1024;
constexpr std::uint64_t enough_edges = 4;  // a window keeps two at most: its ends

/// Excluded pages end it: they are mappings of their own.
Pages window_around(const ArenaBooks& books, Page p, std::uint64_t size) noexcept {
  Page first{p.value / size * size}, end{std::min(first.value + size, books.pages)};
  if (books.any_excluded.load(std::memory_order_relaxed)) {
    first = std::max(first, books.excluded.end_before(p));
    end = std::min(end, books.excluded.next(p));
  }
  return {first, end - first};
}

/// What a private mapping shows is in no plane, whatever frame the books name.
bool on_plane(const ArenaBooks& books, const Plane& plane, Page p) noexcept COW_FAULT_LOCKED {
  return books.frame_of(p) == plane.frame_of(p) && !books.fronts.unshared.contains(p);
}

/// Whether each page of the window can be on the plane: it is, and may be written there, or its frame there is free. A
/// page that somebody counts on stays where it is.
bool plane_fits(ArenaBooks& books, const Plane& plane, Pages window) noexcept COW_FAULT_LOCKED {
  for (Page p = window.first; p < window.end(); ++p) {
    if (on_plane(books, plane, p)) {
      if (claim_of(books, p) == Claim::move) return false;
    } else {
      if (books.prepared.contains(p)) return false;
      FaultLockHeld held(books.family.file.lock());
      if (plane.used.contains(p)) return false;
    }
  }
  return true;
}

Plane* fitting_plane(ArenaBooks& books, Pages window) noexcept COW_FAULT_LOCKED {
  if (plane_fits(books, *books.home, window)) return books.home;
  for (Plane* plane : books.planes) {
    if (plane_fits(books, *plane, window)) return plane;
  }
  return nullptr;
}

os::Result<Plane*> plane_for(ArenaBooks& books, Pages window) noexcept COW_FAULT_LOCKED {
  if (Plane* const plane = fitting_plane(books, window)) return {plane, {}};
  return plane_with_room(books, window);
}

/// Calls f(run) for each run of the window's pages that are (or are not) on the plane, until it fails.
template <class F>
os::Error for_each_run(ArenaBooks& books, const Plane& plane, Pages window, bool on, F&& f) noexcept COW_FAULT_LOCKED {
  for (Page p = window.first; p < window.end();) {
    Page end = p;
    while (end < window.end() && on_plane(books, plane, end) == on) ++end;
    if (end == p) {
      ++p;
      continue;
    }
    if (const os::Error error = f(Pages{p, end - p})) return error;
    p = end;
  }
  return {};
}

os::Error keep_in_place(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  for (Page p = run.first; p < run.end();) {
    const Claim claim = claim_of(books, p);
    const Pages part = run_of_claim(books, p, run.end(), claim);
    if (claim != Claim::none) {
      if (const os::Error error = give_memory(books, part)) return error;  // what is kept is read
      if (const os::Error error = make_private_in_place(books, part, claim)) return error;
    }
    p = part.end();
  }
  return {};
}

/// Copies what is elsewhere to the plane; takes it all back if that fails.
os::Error fill_from_elsewhere(ArenaBooks& books, Plane& plane, Pages window) noexcept COW_FAULT_LOCKED {
  Page filled = window.first;
  const os::Error error = for_each_run(books, plane, window, false, [&](Pages run) COW_FAULT_LOCKED {
    const os::Error failed = fill_frames(books, plane, run);
    if (!failed) filled = run.end();
    return failed;
  });
  if (!error) return {};
  (void)for_each_run(books, plane, {window.first, filled - window.first}, false, [&](Pages run) COW_FAULT_LOCKED {
    return free_frames(books, plane, run), os::Error{};
  });
  return error;
}

}  // namespace

Pages crowded_window(ArenaBooks& books, Page p) noexcept {
  for (std::uint64_t size = smallest_window; size <= largest_crowded_window; size *= 2) {
    const Pages window = window_around(books, p, size);
    if (books.edges(window).all < enough_edges) continue;
    if (!books.prepared.intersects(window) || fitting_plane(books, window) != nullptr) return window;
  }
  return {p, 0};
}

namespace {

/// The plane shows the window from here on. A failure leaves the pages on the frames from before, all of them.
os::Error show_window(ArenaBooks& books, Plane& plane, Pages window) noexcept COW_FAULT_LOCKED {
  const Moving moving(books);
  if (const os::Error error = books.barrier->show(books, window, plane.frame_of(window.first))) {
    (void)for_each_run(books, plane, window, false, [&](Pages run) COW_FAULT_LOCKED {
      return free_frames(books, plane, run), os::Error{};
    });
    return error;
  }
  (void)for_each_run(books, plane, window, false, [&](Pages run) COW_FAULT_LOCKED {
    return enter_moved(books, plane, run), os::Error{};
  });
  return {};
}

/// Other threads may be writing some of the pages: they must wait until the pages are where they stay. The kernel does
/// not wait, but has an error for whom it writes: so what is open and on the plane already stays open.
os::Error protect_for_the_move(ArenaBooks& books, const Plane& plane, Pages window) noexcept COW_FAULT_LOCKED {
  const auto stays_open = [&](Page p) COW_FAULT_LOCKED {
    return on_plane(books, plane, p) || !books.writable.contains(p);
  };
  os::Error error;
  for (Page p = window.first; p < window.end() && !error;) {
    Page end = p;
    while (end < window.end() && !stays_open(end)) ++end;
    if (p < end) error = books.barrier->protect(books, {p, end - p});
    p = end + 1;
  }
  // All at once needs no mapping.
  return error ? books.barrier->protect(books, window) : error;
}

/// What is protected stays so if this fails.
os::Error bring_to_one_plane(ArenaBooks& books, Pages window) noexcept COW_FAULT_LOCKED {
  os::Result<Plane*> plane = plane_for(books, window);
  if (!plane) {  // the books of a new one are a mapping: protecting the window frees some
    if (const os::Error error = books.barrier->protect(books, window)) return error;
    plane = plane_for(books, window);
  }
  if (!plane) return plane.error;
  if (const os::Error error = protect_for_the_move(books, *plane.value, window)) return error;
  const auto keep = [&](Pages run) COW_FAULT_LOCKED { return keep_in_place(books, run); };
  if (const os::Error error = for_each_run(books, *plane.value, window, true, keep)) return error;
  if (const os::Error error = fill_from_elsewhere(books, *plane.value, window)) return error;
  return show_window(books, *plane.value, window);
}

}  // namespace

os::Error consolidate(ArenaBooks& books, Pages window) noexcept {
  if (books.newest != nullptr) {
    if (const os::Error error = UndoLog::make_room(books.log_memory, window.count)) return error;
  }
  // By the books the writable pages are so all the time, protected or not: a failure takes nothing away from whoever
  // relies on that.
  const Edges before = books.edges(window);
  const os::Error error = bring_to_one_plane(books, window);
  if (!error) {
    books.call_writable(window);
    books.written = true;
  } else if (open_again(books, window)) {
    books.half_protected = true;
    if (mutant(Mutant::failed_window_is_forgotten)) books.writable.erase(window);
  }
  books.count_mappings(before, books.edges(window));
  return error;
}

void defragment(ArenaBooks& books, std::uint64_t most) noexcept {
  const auto fragments = [&]() COW_FAULT_LOCKED { return books.mappings - books.writable_edges; };
  constexpr std::uint64_t first_size = 512, growth = 8;
  for (std::uint64_t size = first_size; fragments() > most; size *= growth) {
    for (Page p = books.away.next({0}); p != books.away.end();) {
      const Pages window = window_around(books, p, size);
      if (books.edges(window).all >= enough_edges && consolidate(books, window)) return;
      p = books.away.next(window.end());
    }
    if (size >= books.pages) return;
  }
}

os::Error consolidate_until_it_fits(ArenaBooks& books, Page p, os::Error error) noexcept {
  for (std::uint64_t size = smallest_window; error.code == ENOMEM; size *= 4) {
    const Pages window = window_around(books, p, size);
    error = consolidate(books, window);
    if (size >= books.pages) break;
  }
  return error;
}

}  // namespace cow

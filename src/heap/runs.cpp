// Best fit over two trees of free runs, and the frontier beyond which nothing was ever used.
#include "heap/runs.hpp"

#include <algorithm>
#include <exception>
#include <new>

namespace cow::detail {

namespace {

constexpr unsigned writable_candidates = 8;      // free runs looked at for one that costs no copy
constexpr std::size_t least_purged = 256;        // 1 MiB, where there is a surplus
constexpr std::size_t most_purged_ahead = 1024;  // units given back beyond the surplus, so that the next is not at once
constexpr std::size_t most_units_prepared = 16;  // ahead of their use, when units are opened one after the other

struct LengthAtLeast {
  bool operator()(const Unit& run, std::size_t units) const noexcept { return run.length < units; }
  bool operator()(std::size_t units, const Unit& run) const noexcept { return units < run.length; }
};

}  // namespace

/// Above all that this process has given out, to clones too, and above all in the file that an arena was loaded from.
std::uint64_t Runs::next_serial() noexcept {
  static std::atomic<std::uint64_t> last{0};
  std::uint64_t& in_arena = context_.books.header->last_serial;
  std::uint64_t before = last.load(std::memory_order_relaxed), serial;
  do {
    serial = std::max(before, in_arena) + 1;
  } while (!last.compare_exchange_weak(before, serial, std::memory_order_relaxed));
  return in_arena = serial;
}

void Runs::format() {
  RunState& runs = *::new (&state()) RunState;
  runs.frontier = context_.books.geometry.first_unit;
}

std::size_t Runs::units_begun() const noexcept { return state().frontier - context_.books.geometry.first_unit; }

std::size_t Runs::units_used() const noexcept { return units_begun() - state().clean_units - state().dirty_units; }

std::size_t Runs::units_to_keep() noexcept {
  const std::uint64_t set = context_.books.header->most_kept;
  const std::size_t at_most = (set == 0 ? default_most_kept : set - 1) / unit_bytes;
  return policy_.units_to_keep(units_used(), units_begun(), at_most, context_.cut);
}

void Runs::set_most_kept(std::size_t bytes) noexcept {
  context_.books.header->most_kept = bytes == SIZE_MAX ? bytes : bytes + 1;
}

Runs::Span Runs::take_span(std::size_t units) {
  if (const std::size_t first = take_writable(units)) return {first, 0};
  const std::size_t first = take_anywhere(units, unit_bytes).first;
  return {first, first != 0 && units == 1 ? units_to_prepare(first) : 0};
}

Runs::Large Runs::take_large(std::size_t units, std::size_t alignment) {
  Large taken{alignment == unit_bytes ? take_writable(units) : 0, false};
  if (taken.first == 0) taken = take_anywhere(units, alignment);
  if (taken.first == 0) return {};
  unit(taken.first).length = units;
  unit(taken.first).serial = next_serial();
  unit(taken.first).set_tag(UnitTag(UnitKind::large));
  state().large_units += units;
  ++state().large_blocks;
  return taken;
}

std::size_t Runs::take_clean(std::size_t units, std::size_t alignment) {
  const std::size_t first = take_from(state().clean, units, alignment);
  return first != 0 ? first : take_from_frontier(units, alignment);
}

/// Memory that was never written or given back costs no copy, unlike memory that only a snapshot still needs.
Runs::Large Runs::take_anywhere(std::size_t units, std::size_t alignment) {
  if (const std::size_t first = take_clean(units, alignment)) return {first, true};
  if (const std::size_t first = take_from(state().dirty, units, alignment)) return {first, false};
  if (state().dirty_units == 0) return {};
  purge_all();  // dirty and clean runs lie side by side: all clean, they merge
  return {take_clean(units, alignment), true};
}

std::size_t Runs::take_writable(std::size_t units) {
  auto run = state().dirty.lower_bound(units, LengthAtLeast{});
  for (unsigned seen = 0; run != state().dirty.end() && seen < writable_candidates; ++run, ++seen) {
    const std::size_t first = context_.books.index_of(*run);
    if (is_mostly_writable(first, units)) return carve(*run, first, units);
  }
  return 0;
}

/// A free run may have been merged of parts that a snapshot needs and others. A few of its pages stand for all.
bool Runs::is_mostly_writable(std::size_t first, std::size_t units) const noexcept {
  const Books& books = context_.books;
  return context_.is_writable(books.address_of(first)) &&
         (units == 1 || (context_.is_writable(books.address_of(first + units / 2)) &&
                         context_.is_writable(books.address_of(first + units - 1))));
}

std::size_t Runs::take_from(UnitTree& tree, std::size_t units, std::size_t alignment) {
  const std::size_t slack = alignment / unit_bytes - 1;  // what finding an aligned place may cost
  const auto run = tree.lower_bound(units + slack, LengthAtLeast{});
  if (run == tree.end()) return 0;
  return carve(*run, first_aligned(context_.books.index_of(*run), alignment), units);
}

std::size_t Runs::take_from_frontier(std::size_t units, std::size_t alignment) {
  RunState& runs = state();
  const std::size_t begin = runs.frontier, end = context_.books.geometry.unit_count;
  const std::size_t first = first_aligned(begin, alignment);
  if (first > end || units > end - first) return 0;
  runs.frontier = first + units;
  if (first > begin) insert(begin, first - begin, UnitKind::free_clean);
  return first;
}

std::size_t Runs::first_aligned(std::size_t first, std::size_t alignment) const noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(context_.books.address_of(first));
  return first + (((address + alignment - 1) & ~(alignment - 1)) - address) / unit_bytes;
}

/// Takes units out of the middle of a free run; what is left on either side stays free.
std::size_t Runs::carve(Unit& run, std::size_t first, std::size_t units) {
  const std::size_t begin = context_.books.index_of(run), end = begin + run.length;
  const UnitKind kind = run.tag().kind();
  if (kind == UnitKind::free_dirty) policy_.takes(units, context_.cut);
  remove(run);
  if (first > begin) insert(begin, first - begin, kind);
  if (first + units < end) insert(first + units, end - first - units, kind);
  return first;
}

/// Units opened one after the other are made writable by more and more at a time: one call instead of many.
std::size_t Runs::units_to_prepare(std::size_t first) {
  RunState& runs = state();
  const bool known = runs.prepared_stamp == context_.cut;
  if (known && first >= runs.prepared_from && first < runs.prepared_to) return 0;
  std::size_t step = 1;
  if (known && first == runs.prepared_to) {
    step = std::min(2 * (runs.prepared_to - runs.prepared_from), most_units_prepared);
  }
  const Unit& next = unit(first + 1);
  std::size_t room = 1;
  if (first + 1 == runs.frontier) {
    room += context_.books.geometry.unit_count - runs.frontier;
  } else if (next.tag().kind() == UnitKind::free_clean) {
    room += next.length;
  }
  step = std::min(step, room);
  runs.prepared_from = first;
  runs.prepared_to = first + step;
  runs.prepared_stamp = context_.cut;
  return step;
}

void Runs::give_back(std::size_t first, std::size_t units) {
  policy_.gives_back(units, units_used(), is_mostly_writable(first, units), context_.cut);
  units_freed_last_ = units;
  insert_merged(first, units, UnitKind::free_dirty);
}

void Runs::give_back_large(std::size_t first) {
  Unit& head = unit(first);
  head.set_tag(UnitTag());
  state().large_units -= head.length;
  --state().large_blocks;
  give_back(first, head.length);
}

bool Runs::grow_large(std::size_t first, std::size_t units) {
  Unit& head = unit(first);
  const std::size_t from = first + head.length, to = first + units;
  if (!is_free(from, to)) return false;
  state().large_units += to - from;
  head.length = units;
  for (std::size_t at = from; at < to;) {
    if (at == state().frontier) {
      state().frontier = to;
      break;
    }
    const std::size_t part = std::min<std::size_t>(unit(at).length, to - at);
    carve(unit(at), at, part);
    at += part;
  }
  return true;
}

/// Whether the units from the beginning of a free run on are: dirty and clean runs lie side by side.
bool Runs::is_free(std::size_t from, std::size_t to) const noexcept {
  while (from < to) {
    if (from == state().frontier) return to <= context_.books.geometry.unit_count;
    const UnitKind kind = unit(from).tag().kind();
    if (kind != UnitKind::free_clean && kind != UnitKind::free_dirty) return false;
    from += unit(from).length;
  }
  return true;
}

void Runs::shrink_large(std::size_t first, std::size_t units) {
  Unit& head = unit(first);
  const std::size_t surplus = head.length - units;
  head.length = units;
  state().large_units -= surplus;
  if (surplus != 0) give_back(first + units, surplus);
}

void Runs::purge_surplus() noexcept {
  const std::size_t keep = units_to_keep(), kept = state().dirty_units;
  if (kept > keep) purge(keep - std::min(keep / 2, most_purged_ahead), std::max(least_purged, 2 * units_freed_last_));
}

void Runs::purge_all() noexcept {
  purge(0, SIZE_MAX);
  policy_.forget(units_used());
}

void Runs::purge(std::size_t units_left, std::size_t at_most) noexcept {
  RunState& runs = state();
  try {
    while (runs.dirty_units > units_left && at_most != 0) {
      Unit& run = runs.dirty_by_age.back();
      const bool worth_keeping = is_mostly_writable(context_.books.index_of(run), run.length);
      std::size_t units = worth_keeping ? std::min<std::size_t>(run.length, runs.dirty_units - units_left) : run.length;
      units = std::min(units, at_most);
      purge_end_of(run, units);
      at_most -= units;
    }
  } catch (const std::exception&) {  // the rest stays dirty, and usable
  }
}

/// The low end of a run is what blocks are taken from first.
void Runs::purge_end_of(Unit& run, std::size_t units) {
  const std::size_t begin = context_.books.index_of(run), left = run.length - units, first = begin + left;
  context_.arena.discard(context_.books.address_of(first), units * unit_bytes);
  remove(run);
  if (left != 0) {
    insert(begin, left, UnitKind::free_dirty);
    UnitList& by_age = state().dirty_by_age;
    by_age.splice(by_age.end(), by_age, by_age.iterator_to(run));
  }
  insert_merged(first, units, UnitKind::free_clean);
}

void Runs::insert(std::size_t first, std::size_t units, UnitKind kind) {
  RunState& runs = state();
  Unit& head = unit(first);
  head.length = units;
  ::new (&head.by_size) TreeHook;
  head.set_tag(UnitTag(kind));
  if (units > 1) {
    Unit& tail = unit(first + units - 1);
    tail.length = units;
    tail.set_tag(UnitTag(UnitKind::free_tail));
  }
  if (kind == UnitKind::free_clean) {
    runs.clean.insert(head);
    runs.clean_units += units;
    return;
  }
  ::new (&head.link) ListHook;
  runs.dirty.insert(head);
  runs.dirty_by_age.push_front(head);
  runs.dirty_units += units;
}

void Runs::insert_merged(std::size_t first, std::size_t units, UnitKind kind) {
  RunState& runs = state();
  if (Unit* const before = free_run_before(first, kind)) {
    first -= before->length;
    units += before->length;
    remove(*before);
  }
  const std::size_t end = first + units;
  if (end < runs.frontier && unit(end).tag().kind() == kind) {
    units += unit(end).length;
    remove(unit(end));
  }
  if (kind == UnitKind::free_clean && first + units == runs.frontier) {
    runs.frontier = first;
  } else {
    insert(first, units, kind);
  }
}

void Runs::remove(Unit& run) {
  RunState& runs = state();
  if (run.tag().kind() == UnitKind::free_clean) {
    runs.clean.erase(runs.clean.iterator_to(run));
    runs.clean_units -= run.length;
  } else {
    runs.dirty.erase(runs.dirty.iterator_to(run));
    runs.dirty_by_age.erase(runs.dirty_by_age.iterator_to(run));
    runs.dirty_units -= run.length;
  }
  unit(context_.books.index_of(run) + run.length - 1).set_tag(UnitTag());
  run.set_tag(UnitTag());
}

Unit* Runs::free_run_before(std::size_t index, UnitKind kind) const noexcept {
  if (index == context_.books.geometry.first_unit) return nullptr;
  Unit* run = &unit(index - 1);
  if (run->tag().kind() == UnitKind::free_tail) run = &unit(index - run->length);
  return run->tag().kind() == kind ? run : nullptr;
}

}  // namespace cow::detail

// Arena::exclude(): here, since it must know which pages a heap holds.
#include "arena/exclude.hpp"

#include <algorithm>
#include <optional>

#include "arena/operation.hpp"
#include "barrier/saved_mapping.hpp"
#include "heap/layout.hpp"
#include "merge/heap_books.hpp"

namespace cow {
namespace {

using detail::Unit;
using detail::UnitKind;

/// Where a block begins that has a unit, if it is a large one in use. What is inside a block has no tag.
template <class Units>
std::size_t begin_of_block(const detail::Geometry& geometry, std::size_t inside, Units&& units) {
  std::size_t begin = inside;
  while (begin > geometry.first_unit && units(begin).tag().kind() == UnitKind::none) --begin;
  return begin;
}

bool is_block_up_to(const Unit& head, std::size_t begin, std::size_t end) noexcept {
  return head.tag().kind() == UnitKind::large && end <= begin + head.length;
}

/// The books of the heap that the arena holds now.
class UnitsNow {
 public:
  explicit UnitsNow(const ArenaBooks& books) noexcept
      : geometry(detail::Geometry::of(books.bytes(books.pages))),
        units_(reinterpret_cast<const Unit*>(books.base + geometry.units_offset)) {}

  const Unit& operator()(std::size_t index) const noexcept { return units_[index]; }

  /// Whether units lie inside one large block in use.
  bool one_block_has(std::size_t first, std::size_t end) const noexcept {
    const std::size_t begin = begin_of_block(geometry, first, *this);
    return is_block_up_to(units_[begin], begin, end);
  }

  const detail::Geometry geometry;

 private:
  const Unit* const units_;
};

/// The hook is what the cut holds, and never changes from then on.
const char* why_not(const ArenaBooks& books, Pages run) noexcept COW_HELD_UNCHECKED {
  const std::size_t held = heap_books_bytes(books.base, books.bytes(books.pages));
  const bool may_come_back = held != 0 || books.hook != nullptr;
  if (may_come_back && books.innermost.load(std::memory_order_relaxed) != nullptr) {
    return "a transaction is open, which could not be rolled back to before the block was allocated; exclude pages "
           "of a heap before it begins";
  }
  if (held == 0) return nullptr;
  const std::size_t begin = books.bytes(run.first.value), end = books.bytes(run.end().value);
  if (begin < held) {
    return "the books of a heap lie there, which must be as old as its blocks; exclude pages inside a large block "
           "that it has given out";
  }
  if (UnitsNow(books).one_block_has(begin / detail::unit_bytes, end / detail::unit_bytes)) return nullptr;
  return "a heap holds those pages, and may put other things there; allocate a block of whole pages, and of more than "
         "8 KiB, with a page's alignment, and exclude pages inside it";
}

/// What is going to be read of the heap's books, where it may lie in a saved file. `held`: how many bytes they are.
os::Error touch_heap_books(const ArenaBooks& books, std::size_t& held) noexcept {
  if (const os::Error error = touch_what_may_vanish(books, {{0}, 1}, os::Access::read)) return error;
  held = heap_books_bytes(books.base, books.bytes(books.pages));
  return touch_what_may_vanish(books, {{0}, held >> books.page_shift}, os::Access::read);
}

/// The units of a heap's books in a version, some at a time, the later ones first.
class UnitsOf {
 public:
  explicit UnitsOf(const Snapshot& version) : version_(version), geometry_(detail::Geometry::of(version.capacity())) {}

  bool there() const {
    if (geometry_.first_unit >= geometry_.unit_count) return false;
    alignas(detail::Header) std::byte header[sizeof(detail::Header)];
    version_.read(0, header);
    return heap_books_bytes(header, version_.capacity()) != 0;
  }

  /// Whether units lie inside one large block in use, the same that the arena has there now.
  bool has_same_block(const UnitsNow& now, std::size_t first, std::size_t end) {
    const auto units = [this](std::size_t index) -> const Unit& { return unit(index); };
    const std::size_t begin = begin_of_block(geometry_, first, units);
    const Unit& head = unit(begin);
    return is_block_up_to(head, begin, end) && is_block_up_to(now(begin), begin, end) &&
           head.serial == now(begin).serial;
  }

 private:
  static constexpr std::size_t at_once = 64;

  const Unit& unit(std::size_t index) {
    if (index < first_ || index >= first_ + at_once || !any_) {
      first_ = index / at_once * at_once;
      const std::size_t count = std::min(at_once, geometry_.unit_count - first_);
      version_.read(geometry_.units_offset + first_ * sizeof(Unit), {units_, count * sizeof(Unit)});
      any_ = true;
    }
    return reinterpret_cast<const Unit*>(units_)[index - first_];
  }

  const Snapshot& version_;
  const detail::Geometry geometry_;
  std::size_t first_ = 0;
  bool any_ = false;
  alignas(Unit) std::byte units_[at_once * sizeof(Unit)];
};

/// Whether a version has all pages that the arena excludes: those had their blocks when it was taken.
bool excludes_all(const ArenaBooks& books, const Version& version) noexcept {
  return &version.books == &books && version.epoch.value >= books.last_exclusion.load(std::memory_order_acquire);
}

/// Calls f(first, end) for the units of each run of pages that the arena excludes and the version does not, until one
/// says no.
template <class F>
bool for_all_excluded_since(const ArenaBooks& books, const Version& version, F&& f) {
  const auto wanted = [&](Page p) {
    return p.value < books.pages && books.is_excluded(p) && !version.books.is_excluded_at(p, version.epoch);
  };
  for (Page p = books.excluded.next({0}); p != books.excluded.end(); p = books.excluded.next(p)) {
    const Page first = p;
    while (wanted(p)) ++p;
    if (p == first) {
      ++p;
      continue;
    }
    const std::size_t begin = books.bytes(first.value) / detail::unit_bytes;
    if (!f(begin, (books.bytes(p.value) - 1) / detail::unit_bytes + 1)) return false;
  }
  return true;
}

/// Where neither has a heap nobody would give the pages out.
bool blocks_there(const ArenaBooks& books, const Snapshot& snapshot) {
  const Version& version = *Access::version(snapshot);
  if (excludes_all(books, version)) return true;
  std::size_t held = 0;
  throw_if(touch_heap_books(books, held), "looking for a heap in an arena that was loaded");
  UnitsOf units(snapshot);
  const bool there = units.there();
  const UnitsNow now(books);
  return for_all_excluded_since(books, version, [&](std::size_t first, std::size_t end) {
    return there && held != 0 ? units.has_same_block(now, first, end) : !there && held == 0;
  });
}

}  // namespace

void Arena::exclude(void* p, std::size_t n) {
  ArenaBooks& books = usable(books_, "exclude");
  std::size_t held = 0;
  throw_if(touch_heap_books(books, held), [&] { return "exclude of " + in_bytes(n) + " of an arena that was loaded"; });
  exclude_range(books, p, n, &why_not, &blocks_there);
}

}  // namespace cow

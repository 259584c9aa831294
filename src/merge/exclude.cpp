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

/// Whether units of a heap lie inside one large block in use. What is inside a block has no tag.
bool inside_a_block(const std::byte* arena_begin, std::size_t capacity, std::size_t first, std::size_t end) noexcept {
  const detail::Geometry geometry = detail::Geometry::of(capacity);
  const Unit* const units = reinterpret_cast<const Unit*>(arena_begin + geometry.units_offset);
  std::size_t begin = first;
  while (begin > geometry.first_unit && units[begin].tag().kind() == UnitKind::none) --begin;
  return units[begin].tag().kind() == UnitKind::large && end <= begin + units[begin].length;
}

const char* why_not(const ArenaBooks& books, Pages run) noexcept {
  const std::size_t capacity = books.bytes(books.pages), held = heap_books_bytes(books.base, capacity);
  if (held == 0) return nullptr;
  if (books.innermost.load(std::memory_order_relaxed) != nullptr) {
    return "a transaction is open, which could not be rolled back to before the block was allocated; exclude pages "
           "of a heap before it begins";
  }
  const std::size_t begin = books.bytes(run.first.value), end = books.bytes(run.end().value);
  if (begin < held) {
    return "the books of a heap lie there, which must be as old as its blocks; exclude pages inside a large block "
           "that it has given out";
  }
  if (inside_a_block(books.base, capacity, begin / detail::unit_bytes, end / detail::unit_bytes)) return nullptr;
  return "a heap holds those pages, and may put other things there; allocate a block of whole pages, with a page's "
         "alignment, and exclude pages inside it";
}

/// What is going to be read of the heap's books, where it may lie in a saved file.
os::Error touch_heap_books(const ArenaBooks& books) noexcept {
  if (const os::Error error = touch_what_may_vanish(books, {{0}, 1}, os::Access::read)) return error;
  const std::size_t held = heap_books_bytes(books.base, books.bytes(books.pages));
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

  bool one_block_has(std::size_t first, std::size_t end) {
    std::size_t begin = first;
    while (begin > geometry_.first_unit && unit(begin).tag().kind() == UnitKind::none) --begin;
    return unit(begin).tag().kind() == UnitKind::large && end <= begin + unit(begin).length;
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

/// A version that excludes pages itself had their block when it was taken.
bool blocks_there(const ArenaBooks& books, const Snapshot& snapshot) {
  const Version& version = *Access::version(snapshot);
  const auto wanted = [&](Page p) {
    return p.value < books.pages && books.is_excluded(p) && !version.books.is_excluded_at(p, version.epoch);
  };
  std::optional<UnitsOf> units;
  for (Page p = books.excluded.next({0}); p != books.excluded.end(); p = books.excluded.next(p)) {
    const Page first = p;
    while (wanted(p)) ++p;
    if (p == first) {
      ++p;
      continue;
    }
    if (!units) {
      units.emplace(snapshot);
      if (!units->there()) return false;
    }
    const std::size_t begin = books.bytes(first.value) / detail::unit_bytes;
    const std::size_t end = (books.bytes(p.value) - 1) / detail::unit_bytes + 1;
    if (!units->one_block_has(begin, end)) return false;
  }
  return true;
}

}  // namespace

void Arena::exclude(void* p, std::size_t n) {
  ArenaBooks& books = usable(books_, "exclude");
  throw_if(touch_heap_books(books), [&] { return "exclude of " + in_bytes(n) + " of an arena that was loaded"; });
  const bool heap = heap_books_bytes(books.base, books.bytes(books.pages)) != 0;
  exclude_range(books, p, n, &why_not, heap ? &blocks_there : nullptr);
}

}  // namespace cow

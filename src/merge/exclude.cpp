// Arena::exclude(): here, since it must know which pages a heap holds.
#include "arena/exclude.hpp"
#include "arena/operation.hpp"
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
  const std::size_t begin = books.bytes(run.first.value), end = books.bytes(run.end().value);
  if (begin < held) {
    return "the books of a heap lie there, which must be as old as its blocks; exclude pages inside a large block "
           "that it has given out";
  }
  if (inside_a_block(books.base, capacity, begin / detail::unit_bytes, end / detail::unit_bytes)) return nullptr;
  return "a heap holds those pages, and may put other things there; allocate a block of whole pages, with a page's "
         "alignment, and exclude pages inside it";
}

}  // namespace

void Arena::exclude(void* p, std::size_t n) {
  ArenaBooks& books = usable(books_, "exclude");
  exclude_range(books, p, n, &why_not);
}

}  // namespace cow

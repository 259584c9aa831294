// The books' own memory, and counting mappings. edges() runs in the signal handler.
#include "books/arena_books.hpp"

#include <bit>

namespace cow {

namespace {
std::atomic<std::uint64_t> mapping_limit{~std::uint64_t{0}};

constexpr std::size_t header_bytes = (sizeof(ArenaBooks) + 63) / 64 * 64;
}  // namespace

std::atomic<std::uint64_t> MappingBudget::used{0};
std::uint64_t MappingBudget::limit() noexcept { return mapping_limit.load(std::memory_order_relaxed); }
void MappingBudget::set_limit(std::uint64_t mappings) noexcept {
  mapping_limit.store(mappings, std::memory_order_relaxed);
}

namespace detail {

std::size_t ArenaBooks::bytes_for(std::uint64_t pages) noexcept {
  return header_bytes + PageTable::bytes_for(pages) + (13 + CameAlong::sets + Fronts::sets) * PageSet::bytes_for(pages);
}

ArenaBooks::ArenaBooks(Family& of, BookBuffer memory, std::uint64_t page_count) noexcept
    : family(of), memory_(std::move(memory)), pages(page_count) {
  std::byte* at = memory_.data() + header_bytes;
  table = PageTable(at);
  at += PageTable::bytes_for(pages);
  for (PageSet* set :
       {&own, &away, &blank, &hollow, &excluded, &opened, &written_twice, &recurring, &staying, &writable, &prepared,
        &stored_to, &borrower.ended, &came_along.unseen, &came_along.unchanged}) {
    *set = PageSet(at, pages);
    at += PageSet::bytes_for(pages);
  }
  fronts.place(at, pages);
  page_shift = std::countr_zero(of.file.page_bytes());
}

void ArenaBooks::count_mappings(std::uint64_t more) noexcept {
  mappings += more;
  MappingBudget::used.fetch_add(more, std::memory_order_relaxed);
}

void ArenaBooks::count_mappings(const Edges& before, const Edges& after) noexcept {
  writable_edges += after.of_protection - before.of_protection;
  if (after.all != before.all) count_mappings(after.all - before.all);
}

Edges ArenaBooks::edges(Pages run) const noexcept {
  Edges count;
  const std::uint64_t first = run.first.value == 0 ? 1 : run.first.value;
  const std::uint64_t last = run.end().value < pages ? run.end().value : pages - 1;
  if (first > last) return count;
  Frame before = frame_of({first - 1});
  const PageSet& in_writable = in_writable_mappings();
  bool open_before = in_writable.contains({first - 1}), excluded_before = is_excluded({first - 1});
  for (Page p{first}; p.value <= last; ++p) {
    const Frame frame = frame_of(p);
    const bool open = in_writable.contains(p);
    const bool private_memory = is_excluded(p), both = private_memory && excluded_before;
    const bool copied = layers_copied && SavedFiles::owns(frame) && SavedFiles::owns(before);
    const bool in_line = frame == before + 1 || both || copied;
    const bool jumps = private_memory != excluded_before || !in_line, turns = open != open_before;
    count.all += jumps || turns ? 1 : 0;
    count.of_protection += turns && !jumps ? 1 : 0;
    before = frame;
    open_before = open;
    excluded_before = private_memory;
  }
  return count;
}

}  // namespace detail
}  // namespace cow

// Closing again. See rule/close_again.hpp, and rule/copy_on_write.hpp for the rules of the house.
#include "rule/close_again.hpp"

#include <algorithm>

#include "barrier/barrier.hpp"

namespace cow {
namespace {

constexpr std::uint64_t runs_at_once = 32;
/// Longer runs cost many faults to open again: they are closed when there are no others.
constexpr std::uint64_t short_run = 64;

/// A store over the end of a page needs both: closing the one to open the other would go on for ever. And pages beside
/// each other are one mapping.
bool touch(Pages a, Pages b) noexcept { return a.first <= b.end() && b.first <= a.end(); }

bool may_close(const ArenaBooks& books, Pages run, std::uint64_t longest, Pages wanted) noexcept COW_FAULT_LOCKED {
  return run.count <= longest && !touch(run, wanted) && !books.prepared.intersects(run) &&
         !books.staying.intersects(run);
}

bool close(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  const Pages at_first{run.first, 0}, at_end{run.end(), 0};
  const Edges before = books.edges(at_first) + books.edges(at_end);
  if (books.barrier->protect(books, run)) return books.half_protected = true, false;
  books.writable.erase(run);
  books.count_mappings(before, books.edges(at_first) + books.edges(at_end));
  return true;
}

/// Goes on where it stopped the last time, once round. Whether any was closed.
bool close_some(ArenaBooks& books, std::uint64_t longest, Pages wanted) noexcept COW_FAULT_LOCKED {
  const Page start = books.closed_up_to;
  std::uint64_t closed = 0;
  bool wrapped = false;
  for (Page at = start; closed < runs_at_once;) {
    const Pages run = books.writable.next_run(at);
    if (run.count == 0 && !wrapped) {
      wrapped = true;
      at = {0};
      continue;
    }
    if (run.count == 0 || (wrapped && run.first >= start)) break;
    at = run.end();
    if (!may_close(books, run, longest, wanted)) continue;
    if (!close(books, run)) break;
    ++closed;
    books.closed_up_to = run.end();
  }
  return closed != 0;
}

}  // namespace

void close_some_if_few_are_left(ArenaBooks& books, Pages wanted) noexcept {
  if (!books.writable_pages_split || !MappingBudget::is_short()) return;
  if (!close_some(books, short_run, wanted)) (void)close_some(books, books.pages, wanted);
}

bool close_again(ArenaBooks& books, Pages run) noexcept {
  if (MappingBudget::is_short()) return false;  // a run closed in the middle of others takes mappings
  return !books.prepared.intersects(run) && !books.staying.intersects(run) && close(books, run);
}

void keep_open(ArenaBooks& books, Pages run) noexcept {
  for (const Pages open : books.writable.runs(run)) books.prepared.insert(open);
}

}  // namespace cow

// See arena/exclude.hpp; what is done to the pages is in rule/exclude.cpp.
#include "arena/exclude.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "arena/change_barrier.hpp"
#include "arena/memory.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "kernel/fork_gate.hpp"
#include "rule/exclude.hpp"

namespace cow {
namespace {

void check_whole_pages(const ArenaBooks& books, const void* p, std::size_t n) {
  const std::size_t page = books.bytes(1);
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(p) - books.base);
  if (offset % page == 0 && n % page == 0) return;
  throw std::invalid_argument("cow: exclude of " + in_bytes(n) + " from byte " + std::to_string(offset) +
                              " on: only whole pages can be excluded; begin and end at multiples of " + in_bytes(page));
}

/// Each part of the run that is not excluded yet, one after the other.
os::Error exclude_parts(ArenaBooks& books, Pages run) noexcept COW_IN_OPERATION {
  for (Page p = books.excluded.next_absent(run.first, run.end()); p < run.end();
       p = books.excluded.next_absent(p, run.end())) {
    const Page end = std::min(books.excluded.next(p), run.end());
    const WriterLockHeld held(*books.fault_lock);
    if (const os::Error error = books.barrier->check(books)) return error;
    if (const os::Error error = exclude(books, {p, end - p})) return error;
  }
  return {};
}

}  // namespace

std::uint64_t count_excluded(const ArenaBooks& books) noexcept {
  if (!books.any_excluded.load(std::memory_order_relaxed)) return 0;
  const FaultLockGuard guard(*books.fault_lock);
  return books.excluded.count();
}

bool excludes_as_many(const ArenaBooks& books, std::uint64_t pages) noexcept {
  return books.excluded.count() == pages;
}

bool has_excluded_blocks(const ArenaBooks& books, const Snapshot& version) {
  const BlocksThere blocks_there = books.blocks_there.load(std::memory_order_acquire);
  return blocks_there == nullptr || blocks_there(books, version);
}

void require_excluded_blocks(const ArenaBooks& books, const Snapshot& version, const char* operation) {
  if (has_excluded_blocks(books, version)) return;
  throw std::logic_error(std::string("cow: ") + operation + " in arena \"" + books.name +
                         "\" of a version whose heap has not the arena's own block round some pages that are "
                         "excluded, and would give them out again; take a version from after that block was allocated, "
                         "and exclude pages of a heap only while the arena holds it");
}

void exclude_range(ArenaBooks& books, void* p, std::size_t n, WhyNot why_not, BlocksThere blocks_there) {
  check_range(books, p, n, "exclude");
  if (n == 0) return;
  check_whole_pages(books, p, n);
  keep_handlers_for(books);
  const Pages run{books.page_of(p), n >> books.page_shift};
  const char* refusal = nullptr;
  os::Error error;
  for (bool done = false; !done;) {
    // No exception in here: its memory may come from a heap in this arena, which is locked.
    const Cut cut(books, "exclude");
    const Operation operation(books);  // no transaction begins between the question and the deed
    done = cut.has_its_hook();
    if (done) refusal = why_not(books, run);
    if (done && refusal == nullptr) {
      books.blocks_there.store(blocks_there, std::memory_order_release);
      error = exclude_parts(books, run);
    }
  }
  if (refusal != nullptr) {
    throw std::logic_error("cow: exclude of " + in_bytes(n) + " in arena \"" + books.name + "\": " + refusal);
  }
  throw_if(error, [&] {
    return "exclude of " + in_bytes(n) + " in an arena of " + in_bytes(books.bytes(books.pages));
  });
}

}  // namespace cow

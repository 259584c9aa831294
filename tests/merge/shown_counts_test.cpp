// Promise: how many clones show a frame, by a count that is kept, is what their books tell one by one, whatever is
// written, cloned and dropped. No test of what a page needs before it is written can be right otherwise.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "books/arena_books.hpp"
#include "cow/cow.hpp"
#include "kernel/fault_lock.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 200;

class ShownCounts : public BarrierTest {
 protected:
  /// No version is kept whose arena is gone: all borrowers are arenas.
  static std::uint32_t counted_one_by_one(const std::list<Arena>& arenas, Page p, Frame frame) COW_HELD_UNCHECKED {
    std::uint32_t count = 0;
    for (const Arena& arena : arenas) {
      const Borrower& borrower = Access::books(arena)->borrower;
      count += borrower.listed && borrower.shows(p, frame) ? 1 : 0;
    }
    return count;
  }

  static void expect_count(const std::list<Arena>& arenas, Page p, Frame frame) COW_HELD_UNCHECKED {
    if (frame == zero_frame) return;
    const Lending& lending = Access::books(arenas.front())->family.lending;
    EXPECT_EQ(lending.borrowers_of(frame), counted_one_by_one(arenas, p, frame)) << p.value;
  }

  static void expect_counts(const std::list<Arena>& arenas) COW_HELD_UNCHECKED {
    for (const Arena& arena : arenas) {
      const ArenaBooks& books = *Access::books(arena);
      for (Page p{0}; p.value < pages; ++p) {
        expect_count(arenas, p, books.frame_of(p));
        const Frame borrowed = books.borrower.base.find(p);  // another page's by now, where it has ended
        if (books.borrower.shows(p, borrowed)) expect_count(arenas, p, borrowed);
      }
    }
  }
};
COW_FOR_EVERY_BARRIER(ShownCounts);

TEST_P(ShownCounts, are_what_the_clones_show) {
  const std::uint64_t seed = seed_or(1);
  SCOPED_TRACE("COW_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::list<Arena> arenas;
  arenas.push_back(make_arena(pages));
  fill_run(arenas.front(), 0, pages - 8, 1);
  for (int step = 0; step < 300; ++step) {
    auto any = arenas.begin();
    std::advance(any, static_cast<std::ptrdiff_t>(random() % arenas.size()));
    const std::size_t first = random() % pages;
    if (const std::uint64_t kind = random() % 8; kind == 0 && arenas.size() < 12) {
      arenas.push_back(any->clone());
    } else if (kind == 1 && arenas.size() > 2) {
      arenas.erase(any);
    } else if (kind == 2) {
      (void)any->snapshot();
    } else if (kind == 3) {
      const Snapshot older = any->snapshot();  // what it keeps is history's
      fill_run(*any, first, std::min<std::size_t>(pages - first, 10), random());
      (void)any->snapshot();
      if (arenas.size() < 12) arenas.push_back(older.clone());
    } else {
      fill_run(*any, first, std::min<std::size_t>(pages - first, 1 + random() % 70), random());
    }
    expect_counts(arenas);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace cow::test

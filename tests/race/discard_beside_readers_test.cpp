// Race: discard() beside threads that only read the pages, and so bring them back while the kernel takes them away.
// Promise: the first store to a page that was discarded is noticed like any other: it is in the next snapshot, not in
// the one before, and is rolled back.
#include <atomic>
#include <cstdint>

#include <sys/random.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 512;  // the kernel takes them away at once, and needs longer for more

class DiscardBesideReaders : public BarrierTest {
 protected:
  static void discard_all_that_was_written(Arena& arena, std::uint64_t number) {
    arena.prepare_write(arena.data(), arena.capacity());
    for (std::size_t page = 0; page < pages; ++page) store_word(page_at(arena, page), number);
    arena.discard(arena.data(), arena.capacity());
  }

  /// The kernel stores a byte to each page, or says that it may not: quicker than a fault for each.
  static testing::AssertionResult all_are_protected(Arena& arena) {
    for (std::size_t page = 0; page < pages; ++page) {
      if (::getrandom(page_at(arena, page), 1, 0) != -1) {
        return testing::AssertionFailure() << "page " << page << " takes stores that nobody sees";
      }
    }
    return testing::AssertionSuccess();
  }

  static testing::AssertionResult store_is_noticed(Arena& arena, std::size_t page) {
    const Snapshot before = arena.snapshot();
    store_word(page_at(arena, page), 1);
    const Snapshot after = arena.snapshot();
    if (mark_of(before, page) != 0) return testing::AssertionFailure() << "it changed the snapshot before";
    if (mark_of(after, page) != 1) return testing::AssertionFailure() << "it is not in the next snapshot";
    if (under_tsan) return testing::AssertionSuccess();  // it would call rollback() beside readers a race, as it is
    arena.rollback(before);
    if (load_word(page_at(arena, page)) != 0) return testing::AssertionFailure() << "it was not rolled back";
    return testing::AssertionSuccess();
  }
};
COW_FOR_EVERY_BARRIER(DiscardBesideReaders);

TEST_P(DiscardBesideReaders, every_store_that_follows_is_noticed) {
  Arena arena = make_arena(pages);
  { const Snapshot first = arena.snapshot(); }  // before that nobody looks for stores
  Team team;
  for (int reader = 0; reader < 2; ++reader) {
    team.keep_doing([&] {
      for (std::size_t page = 0; page < pages; ++page) (void)load_word(page_at(arena, page));
    });
  }
  std::size_t rounds = 0;
  for (const Until time(3 * race_time); time; ++rounds) {
    discard_all_that_was_written(arena, rounds + 2);
    if (arena.barrier() != Barrier::kernel) {
      ASSERT_TRUE(all_are_protected(arena)) << "in round " << rounds;
    }
    ASSERT_TRUE(store_is_noticed(arena, rounds % pages)) << "in round " << rounds;
  }
  EXPECT_GT(rounds, 0U);
}

}  // namespace
}  // namespace cow::test

// Promise: merge() knows what its arena holds at that moment, and what the base had there, also of pages that no
// version has yet, and whoever takes versions of it meanwhile.
#include <atomic>
#include <cstdint>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/values.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;

class MergeNow : public BarrierTest {};
COW_FOR_EVERY_BARRIER(MergeNow);

TEST_P(MergeNow, knows_the_base_of_pages_that_no_version_has) {
  constexpr std::size_t far = 3000;  // in an extent that nobody has written
  Arena arena = make_arena(far + 1000);
  fill_run(arena, 0, 8, 1);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  for (const std::size_t page : {far, std::size_t{3}}) {
    put<std::uint64_t>(arena, page * page_size(), 2);
    put<std::uint64_t>(clone, page * page_size() + 8, 3);
  }
  fill(clone, far + 1, 4);
  const MergeReport report = cow::merge(arena, base, clone.snapshot());
  EXPECT_EQ(report.pages_merged, 2U);
  EXPECT_TRUE(report.conflicts.empty());
  for (const std::size_t page : {far, std::size_t{3}}) {
    EXPECT_EQ(get<std::uint64_t>(arena, page * page_size()), 2U);
    EXPECT_EQ(get<std::uint64_t>(arena, page * page_size() + 8), 3U);
    EXPECT_EQ(get<std::uint64_t>(arena, page * page_size() + 16), page == far ? 0U : 1U);
  }
  EXPECT_TRUE(filled(page_at(arena, far + 1), 4));
  arena.rollback(base);
  EXPECT_TRUE(filled(page_at(arena, far), 0));
  EXPECT_TRUE(filled(page_at(arena, 3), 1));
}

TEST_P(MergeNow, is_right_while_another_thread_takes_snapshots) {
  Arena arena = quiet_arena(GetParam(), pages);
  fill_run(arena, 0, pages, 1);
  std::atomic<bool> go_on{true};
  const Snapshot first = arena.snapshot();
  std::thread taker([&] {
    while (go_on.load()) (void)arena.snapshot();
  });
  for (std::uint64_t round = 2; round < 100; ++round) {
    const Snapshot base = arena.snapshot();
    Arena clone = base.clone();
    for (std::size_t page = 0; page < 32; ++page) {
      put<std::uint64_t>(clone, page * page_size() + 16, round);
    }
    const Snapshot theirs = clone.snapshot();
    for (std::size_t page = 16; page < 48; ++page) {  // by write(): the other thread may cut at any moment
      arena.write(arena.data() + page * page_size() + 8, &round, sizeof round);
    }
    const MergeReport report = cow::merge(arena, base, theirs);
    EXPECT_EQ(report.pages_taken, 16U);
    EXPECT_EQ(report.pages_merged, 16U);
    for (std::size_t page = 0; page < 48; ++page) {
      EXPECT_EQ(get<std::uint64_t>(arena, page * page_size() + 8), page < 16 ? 1 : round) << page;
      EXPECT_EQ(get<std::uint64_t>(arena, page * page_size() + 16), page < 32 ? round : 1) << page;
    }
    if (HasFailure()) break;
  }
  go_on = false;
  taker.join();
  EXPECT_TRUE(shows(first, Picture(pages, 1)));
}

}  // namespace
}  // namespace cow::test

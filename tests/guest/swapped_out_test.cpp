// Promise: memory that the kernel has swapped out, of fronts or of frames, is missed by nobody: what was written is in
// the next version, what was not does not count as written, and nothing else changes.
// Where there is no swap, and none can be made, the tests are skipped.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/swap.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 256;

class SwappedOut : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    swap_.emplace();
    if (!*swap_) GTEST_SKIP() << swap_->reason();
  }
  Arena make() const {
    return quiet_arena(GetParam(), pages);
  }
  static std::vector<PageRange> every_eighth_from(std::size_t first) {
    std::vector<PageRange> all;
    for (std::size_t page = first; page < pages; page += 8) all.push_back({page, 1});
    return all;
  }

 private:
  std::optional<Swap> swap_;
};
COW_FOR_EVERY_BARRIER(SwappedOut);

TEST_P(SwappedOut, pages_that_were_written_are_in_the_next_version) {
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  swap_out(arena);
  Picture picture(pages, 1);
  Snapshot last = arena.snapshot();
  ASSERT_TRUE(shows(last, picture));
  for (std::uint64_t round = 2; round < 40; ++round) {
    const Snapshot before = std::exchange(last, {});
    const Picture then = picture;
    const std::size_t first = round % 8;
    for (std::size_t page = first; page < pages; page += 8) fill(arena, page, picture[page] = round);
    swap_out(arena);
    EXPECT_EQ(arena.changed_since(before), every_eighth_from(first)) << "round " << round;
    swap_out(arena);
    last = arena.snapshot();
    swap_out(arena);
    ASSERT_TRUE(shows(before, then)) << "round " << round;
    ASSERT_TRUE(shows(last, picture)) << "round " << round;
    ASSERT_TRUE(shows(arena, picture)) << "round " << round;
    EXPECT_EQ(arena.changed_since(last), std::vector<PageRange>{}) << "round " << round;
  }
}

TEST_P(SwappedOut, pages_that_were_stored_to_from_outside_memory_count_once) {
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  Snapshot last = arena.snapshot();
  fill_run(arena, 0, pages, 2);
  last = arena.snapshot();
  swap_out(arena);
  for (std::size_t page = 3; page < pages; page += 8) put_mark(arena, page, 3);
  EXPECT_EQ(arena.changed_since(last), every_eighth_from(3));
  const Snapshot after = arena.snapshot();
  EXPECT_EQ(changed_between(last, after), every_eighth_from(3));
  EXPECT_TRUE(shows(last, Picture(pages, 2)));
  for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(after, page), page % 8 == 3 ? 3U : 2U);
}

TEST_P(SwappedOut, a_clone_has_all_that_it_wrote_when_it_is_cut_or_rolled_back) {
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  Picture picture(pages, 1);
  for (std::size_t page = 2; page < pages; page += 8) fill(clone, page, picture[page] = 2);
  swap_out(clone);
  EXPECT_EQ(clone.changed_since(base), every_eighth_from(2));
  swap_out(clone);
  const Snapshot cut = clone.snapshot();
  EXPECT_TRUE(shows(cut, picture));
  EXPECT_TRUE(shows(clone, picture));
  fill_run(clone, 0, pages, 5);
  swap_out(clone);
  clone.rollback(cut);
  EXPECT_TRUE(shows(clone, picture));
  swap_out(clone);
  arena.adopt(cut);
  EXPECT_TRUE(shows(arena, picture));
  EXPECT_TRUE(shows(base, Picture(pages, 1)));
}

// Under the kernel barrier the fronts alone have the content, while the clone shows the frames beneath.
TEST_P(SwappedOut, pages_whose_frames_a_clone_shows_keep_their_content) {
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  Picture picture(pages, 1);
  for (std::uint64_t round = 2; round < 12; ++round) {
    const Picture then = picture;
    std::optional<Arena> clone = arena.clone();
    for (std::size_t page = round % 8; page < pages; page += 8) fill(arena, page, picture[page] = round);
    swap_out(arena);
    const Snapshot beside = arena.snapshot();
    swap_out(arena);
    ASSERT_TRUE(shows(*clone, then)) << "round " << round;
    clone.reset();
    fill(arena, 0, picture[0] = round + 100);
    swap_out(arena);
    const Snapshot after = arena.snapshot();
    ASSERT_TRUE(shows(arena, picture)) << "round " << round;
    ASSERT_TRUE(shows(after, picture)) << "round " << round;
  }
}

// Not the fronts: the frames, by another mapping of the memory file.
TEST_P(SwappedOut, frames_are_read_back_and_stay_protected) {
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  const Snapshot one = arena.snapshot();
  const std::uint64_t value = 2;
  arena.write(page_at(arena, 5), &value, sizeof value);  // makes that mapping
  const std::byte* const alias = Access::books(arena)->home_alias.load();
  ASSERT_NE(alias, nullptr);
  ASSERT_TRUE(swap_out(alias, pages * page_size()));
  swap_out(arena);
  const Snapshot two = arena.snapshot();
  ASSERT_TRUE(swap_out(alias, pages * page_size()));
  for (std::size_t page = 3; page < pages; page += 8) put_mark(arena, page, 3);
  ASSERT_TRUE(swap_out(alias, pages * page_size()));
  EXPECT_TRUE(shows(one, Picture(pages, 1)));
  EXPECT_EQ(mark_of(two, 5), 2U);
  EXPECT_EQ(mark_of(two, 11), 1U);
  EXPECT_EQ(arena.changed_since(two), every_eighth_from(3));
  EXPECT_EQ(mark_of(arena, 11), 3U);
}

// The kernel takes pages also while it is asked for them.
TEST_P(SwappedOut, at_any_moment_of_a_cut_nothing_is_lost) {
  constexpr auto seconds = std::chrono::milliseconds(700);
  Arena arena = make();
  fill_run(arena, 0, pages, 1);
  Picture picture(pages, 1);
  Snapshot last = arena.snapshot();
  std::mt19937_64 random(7);
  std::atomic<std::byte*> of_clone{nullptr};
  Team team;
  team.keep_doing([&] {
    swap_out(arena);
    if (std::byte* const memory = of_clone.load()) (void)swap_out(memory, pages * page_size());
  });
  std::uint64_t value = 2;
  for (const Until time(seconds); time;) {
    const Snapshot before = last;
    const Picture then = picture;
    Arena clone = before.clone();
    of_clone = clone.data();
    Picture theirs = picture;
    for (int i = 0; i < 24; ++i) {
      const std::size_t page = random() % pages, other = random() % pages;
      put_mark(arena, page, ++value);
      picture[page] = value;
      put_mark(clone, other, ++value);
      theirs[other] = value;
    }
    last = arena.snapshot();
    const Snapshot of_theirs = clone.snapshot();
    for (std::size_t page = 0; page < pages; ++page) {
      ASSERT_EQ(mark_of(last, page), picture[page]) << "page " << page;
      ASSERT_EQ(mark_of(arena, page), picture[page]) << "page " << page;
      ASSERT_EQ(mark_of(before, page), then[page]) << "page " << page;
      ASSERT_EQ(mark_of(of_theirs, page), theirs[page]) << "page " << page;
    }
    put_mark(clone, 9, ++value);
    clone.rollback(of_theirs);
    for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(clone, page), theirs[page]) << "page " << page;
    of_clone = nullptr;
  }
}

}  // namespace
}  // namespace cow::test

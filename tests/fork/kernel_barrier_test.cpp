// Promise: a fork() beside threads that write an arena under the kernel barrier is one cut as under any other, whatever
// fronts and moved pages there are; where quiet cuts are promised the arena goes back to that barrier afterwards.
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "fork/pair.hpp"
#include "fork/writer.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 512, rest = 64;  // from there on nobody writes beside the fork

/// Whose writer has the first pages; fronts are hidden behind those that a clone showed, and pages are away.
class ForkUnderTheKernelBarrier : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  }
  static Arena make() {
    ArenaOptions options = options_for(Barrier::kernel, pages);
    options.quiet_cuts = GetParam();
    return Arena(options);
  }
  static void write_rest(const Arena& arena, Picture& picture, std::uint64_t value) {
    for (std::size_t page = rest + value % 5; page < pages; page += 5) fill(arena, page, picture[page] = value);
  }
  static bool rest_is_right(const Arena& arena, const Picture& picture) {
    for (std::size_t page = rest; page < pages; ++page)
      if (!filled(page_at(arena, page), picture[page])) return false;
    return true;
  }
};

TEST_P(ForkUnderTheKernelBarrier, beside_writers_is_one_cut) {
  // Without a promise the barrier is gone for good: libc does not forget that there were threads.
  const int rounds = !GetParam() ? 1 : under_sanitizer ? 3 : 6;
  for (int round = 0; round < rounds; ++round) {
    Arena arena = make();
    Picture picture(pages, 1);
    fill_run(arena, 0, pages, 1);
    Writer writer;
    writer.write_round(arena.data());
    const Snapshot first = arena.snapshot();
    std::optional<Arena> clone = first.clone();
    write_rest(arena, picture, 2);
    const Snapshot second = arena.snapshot();
    if (round % 2 == 0) clone.reset();
    write_rest(arena, picture, 3);
    ASSERT_EQ(arena.barrier(), Barrier::kernel) << "round " << round;
    Team team;
    team.keep_doing([&] { writer.write_round(arena.data()); });
    for (const std::uint64_t before = writer.done.load(); writer.done.load() < before + 2;) std::this_thread::yield();
    for (int child = 0; child < 2; ++child) {
      Pair pair([&] {
        if (const int wrong = writer.check(arena.data()); wrong != 0) return wrong;
        if (!rest_is_right(arena, picture)) return 10;
        fill_run(arena, 0, pages, 77);
        if (clone && !filled(page_at(*clone, rest), 1)) return 11;
        Arena own = quiet_arena(Barrier::kernel, 64);
        fill_run(own, 0, 64, 5);
        const Snapshot cut = own.snapshot();
        fill_run(own, 0, 64, 6);
        if (own.barrier() != Barrier::kernel || !shows(cut, Picture(64, 5))) return 12;
        return shows(arena, Picture(pages, 77)) ? 0 : 13;
      });
      write_rest(arena, picture, static_cast<std::uint64_t>(child) + 4);
      ASSERT_EQ(pair.finish(), 0) << "round " << round;
    }
    team.stop();
    ASSERT_EQ(writer.check(arena.data()), 0);
    ASSERT_TRUE(rest_is_right(arena, picture));
    EXPECT_NE(arena.barrier(), Barrier::kernel);
    const Snapshot third = arena.snapshot();
    EXPECT_EQ(arena.barrier() == Barrier::kernel, GetParam());
    write_rest(arena, picture, 9);
    for (std::size_t page = rest; page < pages; ++page) {
      ASSERT_EQ(mark_of(first, page), 1U);
      ASSERT_EQ(mark_of(second, page), page % 5 == (rest + 2) % 5 ? 2U : 1U);
    }
    ASSERT_TRUE(rest_is_right(arena, picture));
    if (clone) {
      ASSERT_EQ(mark_of(*clone, rest + 2), 1U);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Promised, ForkUnderTheKernelBarrier, testing::Bool(),
                         [](const auto& which) { return which.param ? "quiet_cuts" : "nothing"; });

}  // namespace
}  // namespace cow::test

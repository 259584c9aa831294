// Promise: a rollback goes back to what the version holds where another thread prepares pages for writing meanwhile
// that faults had opened beside others, and a rollback before has closed again. The other thread gets its turn before
// each of the rollback's kernel calls; where the rollback holds what it needs there, it waits a while.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 128;

std::atomic<bool> its_turn{false}, done{false};

void give_turn() {
  its_turn = true;
  const auto enough = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
  while (!done && std::chrono::steady_clock::now() < enough) std::this_thread::yield();
}

class PreparedMeanwhile : public testing::TestWithParam<Barrier> {};

TEST_P(PreparedMeanwhile, what_was_as_it_was_stays_so) {
  if (!is_available(GetParam())) GTEST_SKIP() << "this barrier is not available here";
  bool made = true;
  for (std::int64_t nth = 1; made && nth < 200; ++nth) {
    SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
    ArenaOptions options = options_for(GetParam(), pages);
    options.quiet_cuts = true;
    Arena arena(options);
    Picture picture(pages, 1);
    fill_run(arena, 0, pages, 1);
    const Snapshot older = arena.snapshot();
    const View older_shown = older.view();
    for (const std::size_t away : {100U, 98U, 96U}) fill(arena, away, picture[away] = 2);
    const Snapshot version = arena.snapshot();
    const View shown = version.view();
    for (std::size_t page = 110; page > 101; --page) put_mark(arena, page, 3);  // downwards: those below come along
    arena.rollback(version);
    arena.rollback(version);
    put_mark(arena, 110, 3);
    its_turn = done = false;
    std::atomic<bool> over{false};
    {
      const std::jthread thread([&] {
        while (!its_turn && !over) std::this_thread::yield();
        if (its_turn) arena.prepare_write(page_at(arena, 90), 12 * page_size());
        done = true;
      });
      os::before_call(nth, give_turn);
      arena.rollback(version);
      os::before_call(0, nullptr);
      over = true;
    }
    made = its_turn;
    ASSERT_TRUE(shows(arena, picture));
  }
  EXPECT_FALSE(made) << "it never ends";
}

INSTANTIATE_TEST_SUITE_P(Each, PreparedMeanwhile, testing::ValuesIn(every_barrier()),
                         [](const auto& of) { return name_of(of.param); });

}  // namespace
}  // namespace cow::test

// Promise: a rollback goes back to what the version holds where another thread prepares pages for writing meanwhile
// that faults had opened beside others, and a rollback before has closed again. The other thread gets its turn before
// each of the rollback's kernel calls; where the rollback holds what it needs there, it waits a while.
#include <cstddef>
#include <cstdint>
#include <optional>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/beside.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 128;

class PreparedMeanwhile : public testing::TestWithParam<Barrier> {};

TEST_P(PreparedMeanwhile, what_was_as_it_was_stays_so) {
  if (!is_available(GetParam())) GTEST_SKIP() << "this barrier is not available here";
  bool made = true;
  for (std::int64_t nth = 1; made && nth < 200; ++nth) {
    SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
    Arena arena = quiet_arena(GetParam(), pages);
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
    made = run_beside(nth, [&] { arena.rollback(version); },
                      [&] { arena.prepare_write(page_at(arena, 90), 12 * page_size()); });
    ASSERT_TRUE(shows(arena, picture));
  }
  EXPECT_FALSE(made) << "it never ends";
}

INSTANTIATE_TEST_SUITE_P(Each, PreparedMeanwhile, testing::ValuesIn(every_barrier()),
                         [](const auto& of) { return name_of(of.param); });

}  // namespace
}  // namespace cow::test

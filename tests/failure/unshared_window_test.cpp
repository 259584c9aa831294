// Promise: where an arena leaves the kernel barrier and the kernel refuses mappings, pages that go on showing private
// memory lose nothing when a window round them becomes one mapping later, whatever is refused then.
#include <exception>

#include <gtest/gtest.h>

#include "arena/change_barrier.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64, touched = 40;

void change_to_signals_without_call(long refused) {
  os::fail_after(refused);
  want_signals();
  os::fail_after(0);
}

void prepare_without_call(Arena& arena, long refused) {
  os::fail_after(refused);
  try {
    arena.prepare_write(page_at(arena, touched), page_size());
  } catch (const std::exception&) {
  }
  os::fail_after(0);
}

/// Page `touched` is first written after all that. `first`: a version from before; where it is dropped there is none.
void expect_versions_right(long refused_in_change, long refused_in_preparing, bool keep_first) {
  Painted painted(quiet_arena(Barrier::kernel, pages));
  Arena& arena = painted.arena();
  painted.paint(0, 1);
  Snapshot first = arena.snapshot();
  const Picture first_picture = painted.picture();
  if (!keep_first) first = Snapshot();
  change_to_signals_without_call(refused_in_change);
  if (arena.barrier() != Barrier::kernel) prepare_without_call(arena, refused_in_preparing);
  painted.paint(touched, 2);
  const Snapshot second = arena.snapshot();
  const Picture second_picture = painted.picture();
  painted.paint(touched, 3);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(second, second_picture)) << "calls " << refused_in_change << ", " << refused_in_preparing;
  EXPECT_TRUE(shows(second.view(), second_picture));
  EXPECT_TRUE(!keep_first || shows(first, first_picture));
  arena.rollback(second);
  painted.set_picture(second_picture);
  EXPECT_TRUE(painted.is_right());
  signals_wanted.store(false);
}

TEST(UnsharedWindow, keeps_every_version_whatever_calls_are_refused) {
  if (!is_available(Barrier::kernel)) GTEST_SKIP() << "kernel is not available here";
  for (long in_change = 1; in_change <= 40; ++in_change) {
    for (long in_preparing = 1; in_preparing <= 12; ++in_preparing) {
      for (const bool keep_first : {true, false}) expect_versions_right(in_change, in_preparing, keep_first);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace cow::test

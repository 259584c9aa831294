// Race: discard() while a clone that shows the same frames comes to its end in another thread.
// Promise: what versions show stays, whichever of the two gives the frames up last.
#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 4096;

class DiscardBesideClones : public BarrierTest {};
COW_FOR_EVERY_BARRIER(DiscardBesideClones);

TEST_P(DiscardBesideClones, leaves_versions_what_they_show) {
  Arena arena = quiet_arena(GetParam(), pages);
  (void)arena.snapshot();
  for (int round = 0; round < (under_sanitizer ? 4 : 12); ++round) {
    for (std::size_t page = 0; page < pages; ++page) put_mark(arena, page, page + 1);
    const Snapshot before = arena.snapshot();
    std::optional<Arena> clone(before.clone());
    std::thread ending([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(150 * round));
      clone.reset();
    });
    arena.discard(arena.data(), arena.capacity());
    ending.join();
    for (std::size_t page = 0; page < pages; ++page) ASSERT_EQ(mark_of(before, page), page + 1) << "round " << round;
    for (std::size_t page = 0; page < pages; page += 64) ASSERT_EQ(mark_of(arena, page), 0U);
  }
}

}  // namespace
}  // namespace cow::test

// Promise: where excluding pages was refused on the way, and so was taking that back, whatever is done next is right:
// the library's own stores are not caught, nor the kernel's.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 16;

void expect(Painted& arena, std::size_t first, std::size_t count, std::uint64_t value) {
  Picture picture = arena.picture();
  std::fill_n(picture.begin() + static_cast<std::ptrdiff_t>(first), count, value);
  arena.set_picture(picture);
}

class HalfExcluded : public BarrierTest {
 protected:
  /// Calls f for an arena in which excluding pages 4 to 7 was refused, for many a choice of refused calls.
  void after_each_refusal(const std::function<void(Painted& arena, const Snapshot& before)>& f) {
    std::size_t refused = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
      Painted arena(make_arena(pages));
      arena.paint_run(0, 12, 3);
      const Snapshot before = arena.arena().snapshot();
      arena.paint_run(2, 4, 4);
      os::fail_by_chance(seed * 0x100000001b3U, 2);
      try {
        arena.arena().exclude(page_at(arena.arena(), 4), 4 * page_size());
        os::fail_by_chance(0, 0);
        continue;
      } catch (const std::system_error&) {
        os::fail_by_chance(0, 0);
      }
      ++refused;
      f(arena, before);
      ASSERT_TRUE(arena.is_right()) << "seed " << seed;
      ASSERT_TRUE(shows(arena.arena().snapshot(), arena.picture())) << "seed " << seed;
    }
    EXPECT_GT(refused, 100U);
  }
};
COW_FOR_EVERY_BARRIER(HalfExcluded);

TEST_P(HalfExcluded, pages_are_written_as_known_writes) {
  after_each_refusal([](Painted& arena, const Snapshot&) {
    const std::vector<std::uint64_t> content(8 * words_in_page(), 9);
    arena.arena().write(page_at(arena.arena(), 2), content.data(), 8 * page_size());
    expect(arena, 2, 8, 9);
  });
}

TEST_P(HalfExcluded, pages_are_discarded) {
  after_each_refusal([](Painted& arena, const Snapshot&) {
    arena.arena().discard(page_at(arena.arena(), 2), 8 * page_size());
    expect(arena, 2, 8, 0);
  });
}

TEST_P(HalfExcluded, pages_that_are_prepared_take_what_the_kernel_writes) {
  after_each_refusal([](Painted& arena, const Snapshot&) {
    std::array<int, 2> ends;
    ASSERT_EQ(::pipe(ends.data()), 0);
    const std::vector<std::uint64_t> content(words_in_page(), 9);
    const auto bytes = static_cast<ssize_t>(page_size());
    ASSERT_EQ(::write(ends[1], content.data(), page_size()), bytes);
    arena.arena().prepare_write(page_at(arena.arena(), 5), page_size());
    ASSERT_EQ(::read(ends[0], page_at(arena.arena(), 5), page_size()), bytes);
    expect(arena, 5, 1, 9);
    for (const int end : ends) ::close(end);
  });
}

TEST_P(HalfExcluded, pages_are_rolled_back) {
  after_each_refusal([](Painted& arena, const Snapshot& before) {
    arena.arena().rollback(before);
    expect(arena, 2, 4, 3);
  });
}

}  // namespace
}  // namespace cow::test

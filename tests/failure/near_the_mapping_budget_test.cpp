// Promise: where the process has hardly a mapping left, and windows of pages become one mapping instead, a kernel call
// that fails meanwhile does not undo what an operation relies on: write(), discard() and prepare_write() keep their
// word or throw, and no content changes.
#include <cstdint>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/random.h>

#include <gtest/gtest.h>

#include "books/arena_books.hpp"
#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/known_writes.hpp"
#include "support/limits.hpp"
#include "support/mapping_budget.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;

/// Pages that have to move since a view shows them; those between never written, so that each that moves is a mapping.
struct Scattered {
  Scattered(Arena arena, bool one_has_moved) : painted(std::move(arena)) {
    for (std::size_t page = 0; page < pages - 8; page += 2) {
      painted.arena().prepare_write(page_at(painted.arena(), page), 1);  // it alone, where a fault would open a block
      painted.paint(page, 1);
    }
    first = painted.arena().snapshot();
    first_picture = painted.picture();
    view = first.view();
    if (one_has_moved) painted.paint(42, 2);
    second = painted.arena().snapshot();
    second_picture = painted.picture();
    if (one_has_moved) painted.paint(42, 3);
  }

  void expect_intact() {
    EXPECT_TRUE(painted.is_right());
    EXPECT_TRUE(shows(first, first_picture));
    EXPECT_TRUE(shows(view, first_picture));
    EXPECT_TRUE(shows(second, second_picture));
  }

  void expect_to_go_on() {
    const Picture before = painted.picture();
    const Snapshot third = painted.arena().snapshot();
    painted.paint_run(0, pages, 7);
    expect_intact();
    painted.arena().rollback(third);
    painted.set_picture(before);
    expect_intact();
  }

  Painted painted;
  Snapshot first, second;
  Picture first_picture, second_picture;
  View view;
};

class NearTheMappingBudget : public BarrierTest {
 protected:
  /// Each kernel call of the operation fails in its turn; the operation itself says what must hold where it returns.
  void fail_each_call(std::uint64_t mappings_left, bool one_has_moved,
                      const std::function<void(Scattered&)>& operation) {
    for (std::int64_t nth = 1; nth < 400; ++nth) {
      SCOPED_TRACE("call " + std::to_string(nth) + " fails with " + std::to_string(mappings_left) + " left");
      Scattered scattered(make_arena(pages), one_has_moved);
      const BudgetLeft budget(mappings_left);
      const std::int64_t before = os::calls_made();
      os::fail_after(nth);
      try {
        operation(scattered);
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
      }
      os::fail_after(0);
      const bool failed_one = os::calls_made() - before >= nth;
      scattered.expect_intact();
      scattered.expect_to_go_on();
      if (HasFailure() || !failed_one) return;
    }
    FAIL() << "the operation never completes";
  }

  void fail_each_call(const std::function<void(Scattered&)>& operation) {
    for (const std::uint64_t left : {10U, 30U}) {
      for (const bool one_has_moved : {false, true}) fail_each_call(left, one_has_moved, operation);
    }
  }
};
COW_FOR_EVERY_BARRIER(NearTheMappingBudget);

TEST_P(NearTheMappingBudget, write_is_whole_or_throws) {
  fail_each_call([](Scattered& scattered) {
    const std::vector<std::uint64_t> content = page_of(9);
    std::vector<Write> batch;
    Picture picture = scattered.painted.picture();
    for (std::size_t page = 0; page < pages; page += 4) {
      batch.push_back({page_at(scattered.painted.arena(), page), content.data(), page_size()});
      picture[page] = 9;
    }
    scattered.painted.arena().write(batch);
    scattered.painted.set_picture(picture);
  });
}

TEST_P(NearTheMappingBudget, write_without_a_mapping_of_its_own_is_whole_or_throws) {
  fail_each_call([](Scattered& scattered) {
    Picture picture = scattered.painted.picture();
    for (std::size_t page = 0; page < pages; page += 7) {
      write_page(scattered.painted, page, 9);
      picture[page] = 9;
    }
    scattered.painted.set_picture(picture);
  });
}

TEST_P(NearTheMappingBudget, discard_leaves_zeros_or_throws) {
  fail_each_call([](Scattered& scattered) {
    Arena& arena = scattered.painted.arena();
    Picture picture = scattered.painted.picture();
    arena.discard(arena.data(), (pages - 4) * page_size());
    for (std::size_t page = 0; page < pages - 4; ++page) picture[page] = 0;
    scattered.painted.set_picture(picture);
  });
}

// The kernel stores where it may; a fault of ours would put right what it must not need.
TEST_P(NearTheMappingBudget, prepare_write_opens_every_page_or_throws) {
  fail_each_call([](Scattered& scattered) {
    Arena& arena = scattered.painted.arena();
    arena.prepare_write(arena.data(), arena.capacity());
    os::fail_after(0);
    for (std::size_t page = 0; page < pages; ++page) {
      const std::byte byte = *page_at(arena, page);
      EXPECT_EQ(::getrandom(page_at(arena, page), 1, 0), 1) << "page " << page;
      *page_at(arena, page) = byte;
    }
  });
}

TEST_P(NearTheMappingBudget, stores_go_on) {
  fail_each_call([](Scattered& scattered) {
    for (std::size_t page = 0; page < pages; page += 7) scattered.painted.paint(page, 9);
  });
}

/// A window of pages that fit on no plane there is: one of them, which is not written, may not stay where it is. The
/// first eight pages that have content fit on the plane it is on, one by one.
struct NoPlaneForTheWindow {
  static constexpr std::size_t odd_one = 14;

  explicit NoPlaneForTheWindow(Arena made) : arena(std::move(made)) {
    for (std::size_t page = 0; page < 16; page += 2) {
      arena.prepare_write(page_at(arena, page), 1);
      fill(arena, page, 1);
    }
    first = arena.snapshot();
    view = first.view();
    fill(arena, odd_one, 2);
    second = arena.snapshot();
    second_view = second.view();
    fill(arena, 2048, 3);  // there is a log with room
  }

  void expect_content(std::uint64_t expected) {
    for (std::size_t page = 0; page < odd_one; page += 2) {
      EXPECT_TRUE(filled(page_at(arena, page), expected)) << page;
      EXPECT_TRUE(filled(page_at(view, page), 1)) << page;
      EXPECT_EQ(mark_of(second, page), 1U) << page;
    }
  }

  Arena arena;
  Snapshot first, second;
  View view, second_view;
};

class PlaneRefused : public BarrierTest {
 protected:
  /// A further plane of so many pages is refused, and little else.
  void without_a_plane(const std::function<void(Arena&)>& operation, std::uint64_t expected) {
    if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
    NoPlaneForTheWindow made(make_arena(std::size_t{1} << 15));
    const std::uint64_t writable = made.arena.stats().pages_writable;
    {
      const BudgetLeft budget(10);
      const LoweredLimit limit(RLIMIT_AS, proc_bytes("/proc/self/status", "VmSize") + 16 * page_size());
      operation(made.arena);
    }
    EXPECT_LT(made.arena.stats().pages_writable, writable + 16) << "the window was consolidated all the same";
    made.expect_content(expected);
  }
};
COW_FOR_EVERY_BARRIER(PlaneRefused);

TEST_P(PlaneRefused, discard_leaves_zeros) {
  without_a_plane([](Arena& arena) { arena.discard(arena.data(), 14 * page_size()); }, 0);
}

TEST_P(PlaneRefused, prepare_write_opens_every_page) {
  without_a_plane(
      [](Arena& arena) {
        arena.prepare_write(arena.data(), 14 * page_size());
        for (std::size_t page = 0; page < 14; ++page) EXPECT_EQ(::getrandom(page_at(arena, page), 1, 0), 1) << page;
        for (std::size_t page = 0; page < 14; page += 2) fill(arena, page, 1);
      },
      1);
}

TEST_P(PlaneRefused, write_is_whole) {
  without_a_plane(
      [](Arena& arena) {
        std::vector<std::uint64_t> content = page_of(9);
        std::vector<Write> batch;
        for (std::size_t page = 0; page < 14; page += 2)
          batch.push_back({page_at(arena, page), content.data(), page_size()});
        arena.write(batch);
      },
      9);
}

}  // namespace
}  // namespace cow::test

// Promise: pages that were opened beside a page that was written have no memory of their own yet, and write() asks the
// kernel for it before it stores anything: a refusal is an exception, where a store would have to end in a signal.
#include <cstddef>
#include <system_error>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t written = 32, beside = 40;  // a first touch opens a block of sixteen

class MemoryOfOpenedPages : public BarrierTest {
 protected:
  Painted painted_with_a_block() const {
    Painted painted(make_arena(64));
    { const Snapshot first = painted.arena().snapshot(); }  // before that all pages are open, and nobody's
    write_page(painted, 1, 3);  // what write() needs for itself is there now
    painted.paint(written, 1);
    EXPECT_TRUE(painted.arena().ref().is_writable(page_at(painted.arena(), beside)));
    return painted;
  }

  static void expect_refusal_and_then_success(Painted& painted) {
    os::fail_after(1);
    EXPECT_TRUE(throws_exactly<std::system_error>([&] { write_page(painted, beside, 8); }));
    os::fail_after(0);
    EXPECT_TRUE(painted.is_right());
    write_page(painted, beside, 8);
    EXPECT_TRUE(painted.is_right());
  }
};
COW_FOR_EVERY_BARRIER(MemoryOfOpenedPages);

TEST_P(MemoryOfOpenedPages, is_asked_for_where_the_page_is_open) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted = painted_with_a_block();
  expect_refusal_and_then_success(painted);
}

TEST_P(MemoryOfOpenedPages, is_asked_for_where_no_snapshot_has_seen_the_page) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted = painted_with_a_block();
  const Snapshot snapshot = painted.arena().snapshot();
  const Picture before = painted.picture();
  painted.paint(1, 4);  // there is a log, and history, with room
  expect_refusal_and_then_success(painted);
  EXPECT_TRUE(shows(snapshot, before));
}

TEST_P(MemoryOfOpenedPages, is_asked_for_once) {
  Painted painted = painted_with_a_block();
  write_page(painted, beside, 8);
  const std::int64_t calls = os::calls_made();
  write_page(painted, beside, 9);
  EXPECT_EQ(os::calls_made(), calls);
  EXPECT_TRUE(painted.is_right());
}

}  // namespace
}  // namespace cow::test

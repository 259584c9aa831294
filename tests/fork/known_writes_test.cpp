// Promise: what a parent hands to write() after fork() is not its child's, which has no way to the parent's memory; and
// the child, which has no arena any more, cannot write() to it.
#include <algorithm>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "fork/pair.hpp"
#include "support/barriers.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class ForkAndWrite : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ForkAndWrite);

/// A mapping by which stores reach memory that other processes share.
bool reaches_others(const Mapping& mapping) {
  return mapping.line.find("/memfd:") != std::string::npos && mapping.line.find(" rw-s ") != std::string::npos;
}

TEST_P(ForkAndWrite, the_childs_memory_stays_as_it_was) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 24, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  write_page(painted, 3, 2);  // before fork(): the child has it
  painted.paint(4, 2);
  const Picture then = painted.picture();
  Pair pair([&](Turn& turn) {
    if (!shows(painted.arena(), then)) return 1;
    turn.give();
    turn.wait();  // the parent writes
    if (!shows(painted.arena(), then)) return 2;
    fill_run(painted.arena(), 2, 8, 5);
    turn.give();
    turn.wait();
    return 0;
  });
  pair.wait_for_turn();
  for (const std::size_t page : {3U, 4U, 5U, 20U, 30U}) write_page(painted, page, 3);
  pair.give_turn();
  pair.wait_for_turn();  // the child has written
  EXPECT_TRUE(painted.is_right());
  for (const std::size_t page : {2U, 3U}) write_page(painted, page, 4);
  EXPECT_TRUE(painted.is_right());
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
  Picture at_first(32, 0);
  std::fill_n(at_first.begin(), 24, 1);
  EXPECT_TRUE(shows(snapshot, at_first));
}

TEST_P(ForkAndWrite, the_child_inherits_no_way_to_the_parents_memory) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 24, 1);
  Painted clone(painted.arena().clone(), painted.picture());
  write_page(painted, 3, 2);
  write_page(clone, 5, 2);
  const auto ours = mappings();
  EXPECT_TRUE(std::any_of(ours.begin(), ours.end(), reaches_others));  // else the test looks for the wrong thing
  Pair pair([&](Turn&) {
    const auto all = mappings();
    return std::any_of(all.begin(), all.end(), reaches_others) ? 1 : 0;
  });
  EXPECT_EQ(pair.finish(), 0);
}

TEST_P(ForkAndWrite, the_child_is_refused) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  write_page(painted, 3, 2);
  Pair pair([&](Turn&) {
    const auto three = page_of(3);
    const Write one{page_at(painted.arena(), 3), three.data(), page_size()};
    if (!throws_exactly<std::logic_error>([&] { write_page(painted.arena(), 3, 3); })) return 1;
    if (!throws_exactly<std::logic_error>([&] { painted.arena().write({one}); })) return 2;
    if (!throws_exactly<std::logic_error>([&] { painted.arena().ref().write(one.to, one.from, one.bytes); })) return 3;
    return painted.is_right() ? 0 : 4;
  });
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
}

}  // namespace
}  // namespace cow::test

// Promise: a child after fork() has its own copy of each arena, at the same addresses: neither side sees what the other
// writes afterwards, not by stores, not by its end, not by its own children.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "fork/pair.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/family.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class ForkedCopy : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ForkedCopy);

Picture striped(std::size_t pages, std::uint64_t start) {
  Picture picture(pages);
  for (std::size_t page = 0; page < pages; ++page) picture[page] = page % 3 == 2 ? 0 : start + page;
  return picture;
}

void paint_all(Painted& painted, const Picture& picture) {
  for (std::size_t page = 0; page < picture.size(); ++page)
    if (picture[page] != 0) painted.paint(page, picture[page]);
}

TEST_P(ForkedCopy, shows_what_the_parent_had_at_the_fork) {
  Painted painted(make_arena(64));
  paint_all(painted, striped(64, 100));
  Pair pair([&] { return painted.is_right() ? 0 : 1; });
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(ForkedCopy, does_not_see_the_parents_later_writes) {
  Painted painted(make_arena(64));
  paint_all(painted, striped(64, 100));
  Pair pair([&](Turn& turn) {
    turn.wait();  // for the parent to write
    return painted.is_right() ? 0 : 1;
  });
  for (std::size_t page = 0; page < 64; ++page) fill(painted.arena(), page, 7000 + page);
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
}

TEST_P(ForkedCopy, keeps_its_writes_from_the_parent) {
  Painted painted(make_arena(64));
  paint_all(painted, striped(64, 100));
  Pair pair([&] {
    painted.paint_run(0, 64, 9);
    return painted.is_right() ? 0 : 1;
  });
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(ForkedCopy, stays_right_while_both_write_in_turns) {
  Painted painted(make_arena(48));
  paint_all(painted, striped(48, 100));
  Pair pair([&](Turn& turn) {
    for (std::uint64_t round = 1; round <= 5; ++round) {
      turn.wait();
      painted.paint_run(round * 3, 20, 40 + round);
      if (!painted.is_right()) return static_cast<int>(round);
      turn.give();
    }
    return 0;
  });
  for (std::uint64_t round = 1; round <= 5; ++round) {
    painted.paint_run(round * 5, 18, 80 + round);
    const Snapshot snapshot = painted.arena().snapshot();
    EXPECT_TRUE(shows(snapshot, painted.picture()));
    pair.give_turn();
    pair.wait_for_turn();
    EXPECT_TRUE(painted.is_right());
  }
  EXPECT_EQ(pair.finish(), 0);
}

// The parent's arena goes while the child still shows its frames.
TEST_P(ForkedCopy, outlives_the_parents_arena) {
  std::optional<Painted> painted(make_arena(32));
  paint_all(*painted, striped(32, 100));
  Pair pair([&](Turn& turn) {
    turn.wait();
    return painted->is_right() ? 0 : 1;
  });
  painted.reset();
  Painted next(make_arena(32));
  next.paint_run(0, 32, 5);
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(next.is_right());
}

TEST_P(ForkedCopy, of_a_whole_family_is_right_on_both_sides) {
  Family family(make_arena(Family::pages));
  Pair pair([&](Turn& turn) {
    turn.wait();
    if (!family.painted.is_right()) return 1;
    if (!family.clone->is_right()) return 2;
    if (!shows(family.view, Family::first_picture())) return 3;
    family.painted.paint_run(0, Family::pages, 11);
    family.clone->paint_run(0, Family::pages, 12);
    if (!family.painted.is_right() || !family.clone->is_right()) return 4;
    return shows(family.view, Family::first_picture()) ? 0 : 5;
  });
  family.expect_intact();
  family.expect_to_go_on();
  family.view = View();
  family.first = family.second = Snapshot();
  family.painted.paint_run(0, Family::pages, 21);
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(family.painted.is_right());
}

TEST_P(ForkedCopy, has_copies_of_its_own_for_its_children) {
  Painted painted(make_arena(64));
  paint_all(painted, striped(64, 100));
  Pair pair([&](Turn& turn) {
    painted.paint_run(0, 10, 1);
    Pair grandchild([&](Turn& grandchilds) {
      grandchilds.wait();
      if (!painted.is_right()) return 1;
      painted.paint_run(20, 30, 2);
      return painted.is_right() ? 0 : 2;
    });
    painted.paint_run(5, 40, 3);
    turn.wait();
    grandchild.give_turn();
    const int code = grandchild.finish();
    return code != 0 ? code : painted.is_right() ? 0 : 3;
  });
  painted.paint_run(0, 64, 4);
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
}

// The usual way to leave a terminal: fork, the parent exits, and the child closes all descriptors.
TEST_P(ForkedCopy, of_a_grandchild_outlives_the_child_between) {
  Painted painted(make_arena(64));
  paint_all(painted, striped(64, 100));
  Channel verdict;
  Channel go;
  Pair pair([&] {
    painted.paint_run(0, 10, 1);
    if (::fork() != 0) return 0;
    go.wait();
    verdict.send(painted.is_right() ? 0 : 1);
    return 0;
  });
  EXPECT_EQ(pair.finish(), 0);
  for (int round = 0; round < 3; ++round) {
    painted.paint_run(0, 64, 4);
    (void)painted.arena().stats();  // looks whether the child has ended: its own child has not
    const Snapshot passing = painted.arena().snapshot();
  }
  go.send(0);
  EXPECT_EQ(verdict.wait(), 0);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(ForkedCopy, survives_closing_all_descriptors) {
  Painted painted(make_arena(64));
  paint_all(painted, striped(64, 100));
  Pair pair([&](Turn& turn) {
    for (int fd = 3; fd < 1024; ++fd)
      if (!turn.uses(fd)) ::close(fd);
    turn.give();
    turn.wait();
    return painted.is_right() ? 0 : 1;
  });
  pair.wait_for_turn();
  painted.paint_run(0, 64, 4);
  (void)painted.arena().stats();
  painted.paint_run(0, 64, 5);
  pair.give_turn();
  EXPECT_EQ(pair.finish(), 0);
}

TEST_P(ForkedCopy, lets_the_child_make_arenas_of_its_own) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 16, 1);
  const Barrier barrier = GetParam();
  Pair pair([&] {
    Painted own(Arena(options_for(barrier, 16)));
    own.paint_run(0, 16, 2);
    const Snapshot snapshot = own.arena().snapshot();
    const Picture before = own.picture();
    own.paint_run(4, 4, 3);
    Pair grandchild([&] {
      own.paint_run(0, 2, 5);
      return own.is_right() ? 0 : 1;
    });
    if (grandchild.finish() != 0) return 1;
    return own.is_right() && shows(snapshot, before) && painted.is_right() ? 0 : 2;
  });
  EXPECT_EQ(pair.finish(), 0);
  EXPECT_TRUE(painted.is_right());
}

}  // namespace
}  // namespace cow::test

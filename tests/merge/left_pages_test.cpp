// Promise: a page that every clone has left is written where it is, its content kept in history; whoever still shows
// the frame, a clone, a snapshot of one, a view or a clone of a clone, keeps what he sees, and so does who comes later.
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/mapping_budget.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class LeftPages : public BarrierTest {
 protected:
  /// An arena painted with 1, and a clone of its snapshot.
  void begin() {
    original.emplace(make_arena(16));
    original->paint_run(0, 16, 1);
    before = original->arena().snapshot();
    clone.emplace(before.clone(), original->picture());
  }
  /// Under the kernel barrier a clone's writes are known from its next cut on.
  static void let_books_know(Painted& painted) { (void)painted.arena().snapshot(); }
  /// Pages that the original moved since it was asked last, and that it kept in history.
  std::pair<std::uint64_t, std::uint64_t> moved_and_kept() {
    let_books_know(*original);
    const ArenaStats now = original->arena().stats();
    return {now.pages_moved - std::exchange(moved_, now.pages_moved),
            now.pages_to_history - std::exchange(kept_, now.pages_to_history)};
  }

  std::optional<Painted> original, clone;
  Snapshot before;

 private:
  std::uint64_t moved_ = 0, kept_ = 0;
};
COW_FOR_EVERY_BARRIER(LeftPages);

const Picture as_begun(16, 1);

TEST_P(LeftPages, stay_where_they_are) {
  begin();
  clone->paint(3, 2);
  let_books_know(*clone);
  (void)moved_and_kept();
  original->paint(3, 3);
  EXPECT_EQ(moved_and_kept(), std::pair(std::uint64_t{0}, std::uint64_t{1}));
  original->paint(9, 3);
  EXPECT_EQ(moved_and_kept(), std::pair(std::uint64_t{1}, std::uint64_t{0}));
  EXPECT_TRUE(original->is_right());
  EXPECT_TRUE(clone->is_right());
  EXPECT_TRUE(shows(before, as_begun));
  original->arena().rollback(before);
  EXPECT_TRUE(shows(original->arena(), as_begun));
  EXPECT_TRUE(clone->is_right());
}

TEST_P(LeftPages, are_what_they_were_for_later_clones_and_views_of_the_version) {
  begin();
  clone->paint_run(2, 3, 2);
  let_books_know(*clone);
  original->paint_run(2, 5, 3);
  let_books_know(*original);
  const Arena second = before.clone();
  const View view = before.view();
  original->paint_run(0, 12, 4);
  let_books_know(*original);
  const Arena third = before.clone();
  EXPECT_TRUE(shows(second, as_begun));
  EXPECT_TRUE(shows(third, as_begun));
  EXPECT_TRUE(shows(view, as_begun));
  clone.reset();
  EXPECT_TRUE(shows(second, as_begun));
  EXPECT_TRUE(shows(view, as_begun));
  EXPECT_TRUE(original->is_right());
}

TEST_P(LeftPages, are_what_they_were_for_clones_that_are_made_when_the_arena_is_gone) {
  begin();
  clone->paint(3, 2);
  let_books_know(*clone);
  original->paint(3, 3);
  let_books_know(*original);
  original.reset();
  EXPECT_TRUE(shows(before.clone(), as_begun));
  EXPECT_TRUE(shows(before.view(), as_begun));
  EXPECT_TRUE(clone->is_right());
}

TEST_P(LeftPages, move_while_a_view_may_show_them) {
  begin();
  const View view = before.view();
  clone->paint(3, 2);
  let_books_know(*clone);
  original->paint(3, 3);
  let_books_know(*original);
  EXPECT_TRUE(shows(view, as_begun));
  EXPECT_TRUE(shows(before, as_begun));
}

TEST_P(LeftPages, are_shown_still_by_a_snapshot_of_the_clone_and_who_comes_of_it) {
  begin();
  const Snapshot of_clone = clone->arena().snapshot();
  Painted grandchild(of_clone.clone(), as_begun);
  const View view = of_clone.view();
  clone->paint(3, 2);
  let_books_know(*clone);
  original->paint(3, 3);
  let_books_know(*original);
  EXPECT_TRUE(shows(of_clone, as_begun));
  EXPECT_TRUE(shows(view, as_begun));
  EXPECT_TRUE(grandchild.is_right());
  clone.reset();
  original->paint_run(0, 16, 4);
  let_books_know(*original);
  EXPECT_TRUE(grandchild.is_right());
  EXPECT_TRUE(shows(view, as_begun));
}

TEST_P(LeftPages, are_left_by_all_clones_before_they_stay) {
  begin();
  Painted other(before.clone(), as_begun);
  clone->paint(3, 2);
  let_books_know(*clone);
  original->paint(3, 3);
  let_books_know(*original);
  EXPECT_TRUE(other.is_right());
  other.paint(4, 5), clone->paint(4, 6);
  let_books_know(other), let_books_know(*clone);
  (void)moved_and_kept();
  original->paint(4, 7);
  EXPECT_EQ(moved_and_kept().first, 0U);
  EXPECT_TRUE(other.is_right());
  EXPECT_TRUE(clone->is_right());
  EXPECT_TRUE(original->is_right());
  EXPECT_TRUE(shows(before, as_begun));
}

// Each write of the original makes the version's list of runs another one; copies that have been made stay right.
TEST_P(LeftPages, are_not_copied_once_more_for_each_clone_of_the_version) {
  constexpr std::size_t many = 256, kept_back = 8;
  Painted painted(make_arena(many));
  painted.paint_run(0, many, 1);
  const Snapshot version = painted.arena().snapshot();
  const Picture then = painted.picture();
  Painted first(version.clone(), then);
  first.paint_run(0, many, 2);
  let_books_know(first);
  for (std::size_t page = 1; page < many; page += 2) painted.paint(page, 3);
  let_books_know(painted);
  const BudgetLeft budget(2 * many);  // of which a clone takes a part: the short runs are copied
  std::vector<Arena> clones;
  clones.push_back(version.clone());
  const std::uint64_t frames = painted.arena().stats().file_frames_used;
  for (std::size_t page = 0; page < kept_back; page += 2) {
    painted.paint(page, 4);
    let_books_know(painted);
    clones.push_back(version.clone());
    EXPECT_LT(painted.arena().stats().file_frames_used, frames + many / 4) << "copied once more";
  }
  painted.paint_run(0, many, 5);
  for (const Arena& each : clones) EXPECT_TRUE(shows(each, then));
  EXPECT_TRUE(shows(version.view(), then));
  EXPECT_TRUE(first.is_right());
  clones.erase(clones.begin());
  painted.paint_run(0, many, 6);
  for (const Arena& each : clones) EXPECT_TRUE(shows(each, then));
  EXPECT_TRUE(painted.is_right());
}

}  // namespace
}  // namespace cow::test

// An arena with pages in every state there is, its snapshots, a clone and a view, and what each must show.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/pages.hpp"

namespace cow::test {

struct Family {
  static constexpr std::size_t pages = 32;

  /// The arena must have that many pages and be empty.
  explicit Family(Arena&& arena) : painted(std::move(arena)) {
    painted.paint_run(0, 24, 1);
    first = painted.arena().snapshot();
    painted.paint_run(4, 8, 2);
    second_picture = painted.picture();
    second = painted.arena().snapshot();
    clone.emplace(second.clone(), second_picture);
    clone->paint_run(6, 10, 3);
    view = first.view();
    painted.paint_run(8, 2, 4);
  }

  static Picture first_picture() {
    Picture picture(24, 1);
    picture.resize(pages, 0);
    return picture;
  }

  void expect_intact() {
    EXPECT_TRUE(painted.is_right());
    EXPECT_TRUE(clone->is_right());
    EXPECT_TRUE(shows(first, first_picture()));
    EXPECT_TRUE(shows(view, first_picture()));
    EXPECT_TRUE(shows(second, second_picture));
  }

  /// Writes everywhere and rolls back: frames that were lost or given out twice come to light.
  void expect_to_go_on() {
    painted.paint_run(0, pages, 5);
    clone->paint_run(0, pages, 6);
    const Snapshot third = painted.arena().snapshot();
    painted.paint_run(3, 20, 7);
    EXPECT_TRUE(shows(third, Picture(pages, 5)));
    expect_intact();
    painted.arena().rollback(first);
    painted.set_picture(first_picture());
    expect_intact();
  }

  Painted painted;
  Picture second_picture;
  Snapshot first, second;
  std::optional<Painted> clone;
  View view;
};

}  // namespace cow::test

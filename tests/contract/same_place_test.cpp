// Promise: at() gives the place in a clone, a view or the original that a pointer is in another of the family, and
// refuses what has no such place, saying what to do.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 8;

class SamePlace : public testing::Test {
 protected:
  SamePlace() { *number_ = 5; }

  Arena arena_{options_for(Barrier::mprotect, pages, "original")};
  std::uint64_t* const number_ = reinterpret_cast<std::uint64_t*>(page_at(arena_, 3) + 16);
};

std::string refusal(const auto& call) {
  try {
    call();
  } catch (const std::out_of_range& error) {
    return error.what();
  }
  return "nothing was refused";
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(SamePlace, in_a_clone_is_as_far_from_its_start) {
  Arena clone = arena_.clone();
  std::uint64_t* const there = clone.at(arena_, number_);
  EXPECT_EQ(reinterpret_cast<std::byte*>(there) - clone.data(), reinterpret_cast<std::byte*>(number_) - arena_.data());
  *there = 6;
  EXPECT_EQ(*number_, 5U);
  EXPECT_EQ(mark_of(page_at(clone, 3) + 16), 6U);
}

TEST_F(SamePlace, leads_back_and_on_to_clones_of_clones) {
  Arena clone = arena_.clone();
  Arena further = clone.clone();
  EXPECT_EQ(arena_.at(clone, clone.at(arena_, number_)), number_);
  EXPECT_EQ(further.at(arena_, number_), further.at(clone, clone.at(arena_, number_)));
  EXPECT_EQ(arena_.at(further, further.at(arena_, number_)), number_);
  EXPECT_EQ(arena_.at(arena_, number_), number_);
  EXPECT_EQ(clone.at(arena_.ref(), number_), clone.at(arena_, number_));
}

TEST_F(SamePlace, in_a_view_reads_the_old) {
  const View view = arena_.snapshot().view();
  *number_ = 6;
  EXPECT_EQ(*view.at(arena_, number_), 5U);
  EXPECT_EQ(arena_.at(view, view.at(arena_, number_)), number_);
  Arena clone = arena_.clone();
  EXPECT_EQ(*clone.at(view, view.at(arena_, number_)), 6U);
}

TEST_F(SamePlace, is_as_constant_as_pointer_and_mapping_are) {
  Arena clone = arena_.clone();
  const View view = arena_.snapshot().view();
  const std::uint64_t* const constant = number_;
  static_assert(std::is_same_v<decltype(clone.at(arena_, number_)), std::uint64_t*>);
  static_assert(std::is_same_v<decltype(clone.at(arena_, constant)), const std::uint64_t*>);
  static_assert(std::is_same_v<decltype(std::as_const(clone).at(arena_, number_)), const std::uint64_t*>);
  static_assert(std::is_same_v<decltype(view.at(arena_, number_)), const std::uint64_t*>);
  void* const untyped = number_;
  EXPECT_EQ(clone.at(arena_, untyped), clone.at(arena_, number_));
  EXPECT_EQ(clone.at(arena_, constant), clone.at(arena_, number_));
}

TEST_F(SamePlace, of_null_is_null) {
  Arena clone = arena_.clone();
  EXPECT_EQ(clone.at(arena_, static_cast<int*>(nullptr)), nullptr);
}

TEST_F(SamePlace, of_a_pointer_from_elsewhere_is_refused) {
  Arena clone = arena_.clone();
  int on_the_stack = 0;
  const std::string text = refusal([&] { (void)clone.at(arena_, &on_the_stack); });
  EXPECT_TRUE(says(text, "is not in arena \"original\" of ")) << text;
  EXPECT_TRUE(says(text, "give at() the arena or the view first that the pointer leads into")) << text;
}

TEST_F(SamePlace, of_a_pointer_that_is_here_already_is_refused) {
  Arena clone = arena_.clone();
  std::uint64_t* const there = clone.at(arena_, number_);
  const std::string text = refusal([&] { (void)clone.at(arena_, there); });
  EXPECT_TRUE(says(text, "but here already: use the pointer as it is")) << text;
}

TEST_F(SamePlace, of_an_object_that_is_not_wholly_inside_is_refused) {
  Arena clone = arena_.clone();
  std::byte* const end = arena_.data() + arena_.capacity();
  EXPECT_NO_THROW((void)clone.at(arena_, reinterpret_cast<std::uint64_t*>(end - 8)));
  EXPECT_THROW((void)clone.at(arena_, reinterpret_cast<std::uint64_t*>(end - 7)), std::out_of_range);
  EXPECT_THROW((void)clone.at(arena_, end), std::out_of_range);
  EXPECT_THROW((void)clone.at(arena_, arena_.data() - 1), std::out_of_range);
}

TEST_F(SamePlace, in_another_family_is_refused) {
  Arena other(options_for(Barrier::mprotect, pages, "stranger"));
  const std::string text = refusal([&] { (void)other.at(arena_, number_); });
  EXPECT_TRUE(says(text, "arena \"original\" and arena \"stranger\" are of different families")) << text;
  const View view = other.snapshot().view();
  EXPECT_THROW((void)view.at(arena_, number_), std::out_of_range);
}

TEST_F(SamePlace, with_an_empty_object_is_refused) {
  Arena clone = arena_.clone();
  Arena moved = std::move(clone);
  EXPECT_THROW((void)clone.at(arena_, number_), std::logic_error);
  EXPECT_THROW((void)View().at(arena_, number_), std::logic_error);
  EXPECT_NO_THROW((void)moved.at(arena_, number_));
}

}  // namespace
}  // namespace cow::test

// Promise: the default barrier is mprotect; automatic always works; userfaultfd works or says why it does not.
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

void expect_to_work(Arena& arena) {
  fill_run(arena, 0, 4, 1);
  const Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, 2, 2);
  EXPECT_TRUE(shows(arena, {2, 2, 1, 1}));
  EXPECT_TRUE(shows(snapshot, Picture(4, 1)));
}

TEST(TheBarrier, is_mprotect_by_default) {
  ArenaOptions options;
  options.capacity = 4 * page_size();
  Arena arena(options);
  EXPECT_EQ(arena.barrier(), Barrier::mprotect);
  expect_to_work(arena);
}

TEST(TheBarrier, is_chosen_when_automatic_and_never_called_so) {
  Arena arena(options_for(Barrier::automatic, 4));
  EXPECT_NE(arena.barrier(), Barrier::automatic);
  EXPECT_TRUE(is_available(arena.barrier()));
  expect_to_work(arena);
}

TEST(TheBarrier, userfaultfd_works_or_says_why_it_does_not) {
  try {
    Arena arena(options_for(Barrier::userfaultfd, 4));
    EXPECT_EQ(arena.barrier(), Barrier::userfaultfd);
    expect_to_work(arena);
  } catch (const std::runtime_error& error) {  // a std::system_error is one
    EXPECT_NE(std::string(error.what()).find("userfaultfd"), std::string::npos) << error.what();
  }
}

TEST(TheBarrier, is_not_something_else) {
  EXPECT_THROW(const Arena arena(options_for(static_cast<Barrier>(77), 4)), std::invalid_argument);
}

}  // namespace
}  // namespace cow::test

// What the example promises of its clones: they work at other addresses, side by side, and leave the original alone.
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "database.hpp"

namespace what_if::test {
namespace {

/// A chain in which each package needs the one before, long enough for many pages.
std::string chain(int count) {
  std::string text = installed("p0");
  for (int i = 1; i < count; ++i) {
    text += installed("p" + std::to_string(i), "Depends: p" + std::to_string(i - 1) + "\n");
  }
  return text;
}

TEST(Clones, answer_at_an_address_of_their_own) {
  Database database(chain(100));
  World world = removed_in_clone(database.arena().snapshot(), "p90");
  EXPECT_NE(world.arena->data(), database.arena().data());
  EXPECT_EQ(world.removal.packages, 10u);
  for (const Fate& fate : world.graph().gone) {
    EXPECT_TRUE(world.arena->contains(&fate));
    EXPECT_TRUE(world.arena->contains(fate.package.get()));
    EXPECT_TRUE(world.arena->contains(fate.package->name.view().data()));
  }
}

TEST(Clones, leave_the_original_untouched) {
  Database database(chain(2000));
  const cow::Snapshot base = database.arena().snapshot();
  const auto bytes = ArenaMemory::attach(database.arena()).used();
  const std::uint64_t before = checksum(bytes);
  const std::vector<std::string> names{"p0", "p1", "p500", "p1999"};
  std::vector<World> worlds = removed_in_clones(base, names, 4);
  EXPECT_EQ(checksum(bytes), before);
  EXPECT_TRUE(database.arena().changed_since(base).empty());
  EXPECT_EQ(database.arena().snapshot(), base);
  for (const Package& package : database.graph().packages) EXPECT_FALSE(package.fate->gone);
}

TEST(Clones, answer_side_by_side_as_they_do_alone) {
  Database database(chain(1000));
  const cow::Snapshot base = database.arena().snapshot();
  std::vector<std::string> names;
  for (int i = 0; i < 1000; i += 25) names.push_back("p" + std::to_string(i));
  std::vector<World> worlds = removed_in_clones(base, names, 4);
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(worlds[i].removed, names[i]);
    EXPECT_EQ(worlds[i].removal.packages, 1000 - 25 * i);
    EXPECT_EQ(Database::names_gone(worlds[i]).back(), "p999");
  }
}

TEST(Clones, copy_only_the_pages_that_they_change) {
  Database database(chain(5000));
  const cow::Snapshot base = database.arena().snapshot();
  const World small = removed_in_clone(base, "p4999");
  const World large = removed_in_clone(base, "p0");
  EXPECT_GE(pages_copied(small.cost), 1u);
  EXPECT_LE(pages_copied(small.cost), 4u);
  EXPECT_GT(pages_copied(large.cost), 10 * pages_copied(small.cost));
  EXPECT_LE(small.cost.faults(), 4u);
}

TEST(Clones, share_or_copy_each_page_of_the_graph_and_no_other) {
  Database database(chain(5000));
  const std::size_t pages = (ArenaMemory::attach(database.arena()).used().size() - 1) / cow::page_size() + 1;
  for (const char* const name : {"p0", "p2500", "p4999"}) {
    const World world = removed_in_clone(database.arena().snapshot(), name);
    EXPECT_EQ(world.cost.pages_borrowed + pages_copied(world.cost), pages) << name;
  }
}

TEST(Clones, pass_on_what_goes_wrong_in_a_thread) {
  Database database(chain(10));
  EXPECT_THROW(removed_in_clones(cow::Snapshot(), std::vector<std::string>{"p1"}, 3), std::logic_error);

  std::atomic<int> done = 0;
  const auto work = [&](std::size_t i) {
    if (i == 3) throw std::runtime_error("the fourth");
    ++done;
  };
  EXPECT_THROW(detail::in_parallel(20, 4, work), std::runtime_error);
  EXPECT_EQ(done, 19);
}

TEST(Checksum, changes_with_any_byte) {
  std::vector<std::byte> bytes(37);
  const std::uint64_t before = checksum(bytes);
  for (std::byte& byte : bytes) {
    byte = std::byte{1};
    EXPECT_NE(checksum(bytes), before);
    byte = std::byte{0};
  }
  EXPECT_EQ(checksum(bytes), before);
}

}  // namespace
}  // namespace what_if::test

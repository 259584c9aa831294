// Promise: dump() tells a human all there is about an arena, and changes nothing.
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

testing::AssertionResult says(const std::string& text, const std::string& wanted) {
  if (text.find(wanted) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << wanted << "' is not in\n" << text;
}

class Dump : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Dump);

TEST_P(Dump, tells_of_snapshots_relatives_memory_and_pages) {
  Arena arena = make_arena(64, "told");
  fill_run(arena, 0, 32, 1);
  const Snapshot first = arena.snapshot();
  fill_run(arena, 0, 4, 2);
  const Snapshot second = arena.snapshot();
  const Snapshot again = second;
  Arena clone = first.clone();
  const std::string text = arena.dump();
  EXPECT_TRUE(says(text, "arena \"told\" at "));
  EXPECT_TRUE(says(text, name_of(GetParam())));
  EXPECT_TRUE(says(text, "snapshot 1: epoch 2, 1 handle, "));
  EXPECT_TRUE(says(text, ", shown by views or clones\n"));
  EXPECT_TRUE(says(text, "snapshot 2: epoch 3, 2 handles, 0 pages written since, 0 B for it alone\n"));
  EXPECT_TRUE(says(text, ", cloned from snapshot 1\n"));
  EXPECT_TRUE(says(text, "as the kernel counts"));
  EXPECT_TRUE(says(text, "handler time"));
  EXPECT_TRUE(says(text, "a character is a page"));
  EXPECT_TRUE(says(clone.dump(), ", a clone\n"));
}

TEST_P(Dump, changes_nothing) {
  Arena arena = make_arena(64);
  fill_run(arena, 0, 32, 1);
  Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, 4, 2);
  const ArenaStats before = arena.stats();
  (void)arena.dump();
  const ArenaStats after = arena.stats();
  EXPECT_EQ(after.epoch, before.epoch);
  EXPECT_EQ(after.pages_writable, before.pages_writable);
  EXPECT_EQ(after.file_bytes, before.file_bytes);
  snapshot = {};
  EXPECT_EQ(arena.stats().snapshots_alive, 0U) << "it kept no handle";
}

TEST(DumpOfNothing, is_refused) {
  Arena arena({.capacity = page_size()});
  const Arena moved = std::move(arena);
  EXPECT_THROW((void)arena.dump(), std::logic_error);
}

}  // namespace
}  // namespace cow::test

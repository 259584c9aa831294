// Promise: a clone's pages that are read where the clone shows them are known to be those only while none of its pages
// has moved; else what is written comes from the frames.
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "arena/version_content.hpp"
#include "books/near_pages.hpp"
#include "cow/cow.hpp"
#include "kernel/fork_gate.hpp"
#include "rule/known_writes.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class NearPagesOf : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    if (!pages_are_read_in_place) GTEST_SKIP() << "not under a sanitizer";
    original.emplace(make_arena(16));
    fill_run(*original, 0, 16, 1);
    clone.emplace(original->clone());
    fill_run(*clone, 2, 4, 2);
    theirs = clone->snapshot();
  }
  ArenaBooks& books() { return *Access::books(*original); }

  std::optional<Arena> original, clone;
  Snapshot theirs;
};
COW_FOR_EVERY_BARRIER(NearPagesOf);

TEST_P(NearPagesOf, a_clone_lead_to_what_it_shows_until_some_have_moved) {
  VersionContent content(*Access::version(theirs));
  ASSERT_FALSE(content.open(books()));
  ASSERT_FALSE(content.add({{2}, 4}));
  {
    const VersionContent::Nearby nearby(content);
    EXPECT_TRUE(filled(content.at({3}), 2));
    EXPECT_NE(content.at({3}), content.lasting({3}));
    EXPECT_TRUE(nearby.held());
    if (GetParam() == Barrier::kernel) return;  // there it is the frame itself
    fill(*clone, 3, 3);
    EXPECT_FALSE(nearby.held());
  }
  const VersionContent::Nearby nearby(content);
  EXPECT_EQ(content.at({3}), content.lasting({3}));
  EXPECT_TRUE(filled(content.at({3}), 2));
  EXPECT_TRUE(nearby.held());
}

TEST_P(NearPagesOf, a_clone_that_is_gone_are_not_read) {
  NearPages near(*Access::books(*clone));
  EXPECT_TRUE(static_cast<bool>(NearPages::Reading(near)));
  clone.reset();
  EXPECT_FALSE(static_cast<bool>(NearPages::Reading(near)));
}

TEST_P(NearPagesOf, what_moved_is_not_what_is_written) {
  const std::vector<std::byte> right(page_size(), std::byte{7}), wrong(page_size(), std::byte{8});
  const PageWrite write{{3}, right.data(), wrong.data()};
  const NearPages none;
  const WriterLockGuard guard(*books().fault_lock);
  ASSERT_FALSE(write_known_pages(books(), {&write, 1}, none));
  EXPECT_EQ(*page_at(*original, 3), std::byte{7});
}

}  // namespace
}  // namespace cow::test

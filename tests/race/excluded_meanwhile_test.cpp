// Promise: pages that another thread excludes while an arena takes over content keep what they hold, and their heap
// keeps its block: either comes first. The other thread gets its turn before each of the operation's kernel calls;
// where the operation holds what it needs there, it waits a while.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/beside.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 24, changed = 3, block_pages = 8;

bool is_refused(const std::function<void()>& operation) {
  try {
    operation();
    return false;
  } catch (const std::logic_error&) {
    return true;
  }
}

class ExcludedMeanwhile : public testing::TestWithParam<Barrier> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam())) GTEST_SKIP() << "this barrier is not available here";
  }
  static Arena make(std::size_t count) { return quiet_arena(GetParam(), count); }
};

TEST_P(ExcludedMeanwhile, a_page_that_both_sides_have_changed_keeps_what_ours_has) {
  bool made = true;
  for (std::int64_t nth = 1; made && nth < 400; ++nth) {
    SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
    Arena first = make(pages);
    fill_run(first, 0, pages, 1);
    const Snapshot base = first.snapshot();
    Arena ours = base.clone(), other = base.clone();
    fill(ours, changed, 2);
    (void)ours.snapshot();  // and no version needs the page's frame
    put_mark(other, changed, 9);
    const Snapshot theirs = other.snapshot();
    MergeOptions options;
    options.on_conflict = OnConflict::take_theirs;
    made = run_beside(nth, [&] { (void)merge(ours, base, theirs, options); },
                      [&] { ours.exclude(page_at(ours, changed), page_size()); });
    if (mark_of(ours, changed) == 9) put_mark(ours, changed, 2);  // merged before it was excluded
    ASSERT_TRUE(filled(page_at(ours, changed), 2));
  }
  EXPECT_FALSE(made) << "it never ends";
}

/// Whether the heap gives out pages 2 to 5 of a block.
bool gives_out(Heap& heap, const std::byte* block) {
  const std::size_t bytes = block_pages * page_size();
  while (const auto* const other = static_cast<std::byte*>(heap.try_allocate(bytes, page_size()))) {
    if (other < block + 6 * page_size() && other + bytes > block + 2 * page_size()) return true;
  }
  return false;
}

/// `take_over`: makes the arena one whose heap has not the block that is being excluded. Whoever comes later is
/// refused.
void expect_one_is_refused(const std::function<Arena()>& make,
                           const std::function<void(Arena&, const Snapshot& before)>& take_over) {
  bool made = true;
  for (std::int64_t nth = 1; made && nth < 400; ++nth) {
    SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
    Arena arena = make();
    Heap heap(arena);
    const Snapshot before = arena.snapshot();
    auto* const block = static_cast<std::byte*>(heap.allocate(block_pages * page_size(), page_size()));
    bool taken = false, excluded = false;
    made = run_beside(
        nth,
        [&] { excluded = !is_refused([&] { arena.exclude(block + 2 * page_size(), 4 * page_size()); }); },
        [&] { taken = !is_refused([&] { take_over(arena, before); }); });
    ASSERT_FALSE(taken && excluded);
    ASSERT_TRUE(!excluded || !gives_out(heap, block));
  }
  EXPECT_FALSE(made) << "it never ends";
}

TEST_P(ExcludedMeanwhile, nothing_is_rolled_back_to_before_their_block) {
  expect_one_is_refused([] { return make(2048); },
                        [](Arena& arena, const Snapshot& before) { arena.rollback(before); });
}

TEST_P(ExcludedMeanwhile, nothing_is_adopted_from_before_their_block) {
  expect_one_is_refused([] { return make(2048); },
                        [](Arena& arena, const Snapshot& before) { arena.adopt(before); });
}

INSTANTIATE_TEST_SUITE_P(Each, ExcludedMeanwhile, testing::ValuesIn(every_barrier()),
                         [](const auto& of) { return name_of(of.param); });

}  // namespace
}  // namespace cow::test

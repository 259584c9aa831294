// Promise: merging what is a version of the arena's own takes what that shows, where another thread's cut takes a page
// home meanwhile, to another frame, or changes to the kernel barrier. The other thread gets its turn before each of the
// merge's kernel calls; where the merge holds what it needs there, it waits a while.
#include <cstddef>
#include <cstdint>
#include <optional>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "cow/fault_profile.hpp"
#include "support/barriers.hpp"
#include "support/beside.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 24, moved = 3, spare = 9;

/// A clone one page of which has moved, since a view showed it, and could go home once that is closed.
struct Moved {
  explicit Moved(Barrier barrier) {
    first.emplace(quiet_arena(barrier, pages));
    fill_run(*first, 0, pages, 1);
    base = first->snapshot();
    clone.emplace(base.clone());
    fill(*clone, moved, 2);
    shown = clone->snapshot();
    view = shown.view();
    fill(*clone, moved, 3);
    theirs = clone->snapshot();
  }

  /// The cut needs something to take in, though nobody writes meanwhile.
  void let_it_go_home() {
    view.reset();
    shown = {};
    clone->prepare_write(page_at(*clone, spare), page_size());
    const Snapshot passing = clone->snapshot();
  }

  std::optional<Arena> first, clone;
  Snapshot base, shown, theirs;
  std::optional<View> view;
};

/// Whether the merge makes so many kernel calls. `other`: what another thread does before the nth of them.
template <class Other>
bool merge_beside(std::int64_t nth, Arena& into, const Snapshot& base, const Snapshot& theirs, Other&& other) {
  MergeOptions options;
  options.on_conflict = OnConflict::take_theirs;
  MergeReport report;
  const bool made = run_beside(nth, [&] { report = merge(into, base, theirs, options); }, other);
  EXPECT_TRUE(report.conflicts.empty());
  return made;
}

class TakenHomeMeanwhile : public testing::TestWithParam<Barrier> {};

TEST_P(TakenHomeMeanwhile, what_is_merged_is_what_the_version_shows) {
  if (!is_available(GetParam())) GTEST_SKIP() << "this barrier is not available here";
  bool made = true;
  for (std::int64_t nth = 1; made && nth < 400; ++nth) {
    SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
    Moved of(GetParam());
    made = merge_beside(nth, *of.clone, of.base, of.theirs, [&] { of.let_it_go_home(); });
    Picture merged(pages, 1);
    merged[moved] = 3;
    ASSERT_TRUE(shows(*of.clone, merged));
    if (HasFailure()) return;
  }
  EXPECT_FALSE(made) << "it never ends";
}

TEST(ChangedToTheKernelBarrierMeanwhile, what_is_merged_is_what_the_version_shows) {
  if (!is_available(Barrier::kernel)) GTEST_SKIP() << "this barrier is not available here";
  bool made = true;
  for (std::int64_t nth = 1; made && nth < 400; ++nth) {
    SCOPED_TRACE(testing::Message() << "before kernel call " << nth);
    start_fault_profile();
    Arena arena = quiet_arena(Barrier::kernel, pages);
    fill_run(arena, 0, pages, 1);
    const Snapshot base = arena.snapshot();
    fill(arena, moved, 3);
    const Snapshot theirs = arena.snapshot();
    fill(arena, spare, 4);
    made = merge_beside(nth, arena, base, theirs, [&] {
      stop_fault_profile();
      const Snapshot passing = arena.snapshot();
    });
    stop_fault_profile();
    Picture merged(pages, 1);
    merged[moved] = 3;
    merged[spare] = 4;
    ASSERT_TRUE(shows(arena, merged));
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_FALSE(made) << "it never ends";
}

INSTANTIATE_TEST_SUITE_P(Each, TakenHomeMeanwhile, testing::ValuesIn(every_barrier()),
                         [](const auto& of) { return name_of(of.param); });

}  // namespace
}  // namespace cow::test

// Promises: where views of the same pages are opened one after the other, as of each new version, the later ones find
// their mapping ready, and reading them takes no faults; each shows its version and nothing else all the same, and
// nothing of that outlives the arena.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/mapping_budget.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 512;

long faults_so_far() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

class IdleViews : public BarrierTest {};
COW_FOR_EVERY_BARRIER(IdleViews);

TEST_P(IdleViews, are_read_without_faults_by_those_that_follow) {
  if (under_tsan || under_asan) GTEST_SKIP() << "sanitizers take faults of their own";
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  std::uint64_t sum = 0;
  const auto faults_of_a_view = [&] {
    const Snapshot version = arena.snapshot();
    const View view = version.view();
    const long before = faults_so_far();
    for (std::size_t page = 0; page < pages; ++page) sum += mark_of(view, page);
    return faults_so_far() - before;
  };
  const long first = faults_of_a_view();
  put_mark(arena, 7, 2);
  (void)faults_of_a_view();
  put_mark(arena, 8, 2);
  EXPECT_LT(faults_of_a_view(), first / 4 + 2);
  EXPECT_EQ(sum, 3 * pages + 1 + 2);
}

TEST_P(IdleViews, show_their_own_version_each_whatever_comes_between) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    constexpr std::size_t count = 48;
    Arena arena = make_arena(count);
    Picture now(count, 0);
    struct Held {
      View view;
      Picture picture;
    };
    std::vector<Held> held;
    std::vector<std::pair<Snapshot, Picture>> kept;
    std::vector<Arena> clones;
    for (int step = 0; step < 120; ++step) {
      for (std::uint64_t i = random() % 6; i != 0; --i) {
        const std::size_t page = random() % (step < 60 ? count / 2 : count);
        fill(arena, page, now[page] = random());
      }
      if (random() % 8 == 0) {
        const std::size_t page = random() % count;
        arena.discard(page_at(arena, page), page_size());
        now[page] = 0;
      }
      const Snapshot version = arena.snapshot();
      if (random() % 4 == 0) kept.emplace_back(version, now);
      if (random() % 10 == 0) clones.push_back(version.clone());
      if (random() % 3 == 0 && !clones.empty()) clones.pop_back();
      for (std::uint64_t i = random() % 3; i != 0; --i) held.push_back({version.view(), now});
      if (random() % 6 == 0 && !kept.empty()) {
        const auto& [to, picture] = kept[random() % kept.size()];
        arena.rollback(to);
        now = picture;
      }
      if (!kept.empty() && random() % 5 == 0) {
        const auto& [of, picture] = kept[random() % kept.size()];
        held.push_back({of.view(), picture});
      }
      if (random() % 5 == 0) kept.clear();
      for (const Held& one : held) ASSERT_TRUE(shows(one.view, one.picture)) << "seed " << seed << " step " << step;
      while (held.size() > random() % 4) held.erase(held.begin() + static_cast<std::ptrdiff_t>(random() % held.size()));
    }
  }
}

/// The mapping that stayed begins with the same frames, and ends before the page that has come.
TEST_P(IdleViews, show_pages_that_were_first_written_since) {
  Arena arena = make_arena(16);
  const auto view_now = [&](std::uint64_t value) {
    put_mark(arena, 0, value);
    return arena.snapshot().view();
  };
  fill_run(arena, 0, 5, 1);
  for (std::uint64_t value = 2; value < 6; ++value) EXPECT_EQ(mark_of(view_now(value), 4), 1U);
  put_mark(arena, 5, 7);
  const View view = view_now(6);
  EXPECT_EQ(mark_of(view, 5), 7U);
  EXPECT_EQ(mark_of(view, 0), 6U);
}

TEST_P(IdleViews, go_with_their_arena) {
  (void)make_arena(8);
  const std::size_t before = mapping_count();
  {
    Arena arena = make_arena(pages);
    fill_run(arena, 0, pages, 1);
    std::optional<View> last;
    for (int i = 0; i < 5; ++i) {
      last.emplace(arena.snapshot().view());
      last.reset();
    }
    last.emplace(arena.snapshot().view());
    arena = make_arena(8);
    EXPECT_EQ(mark_of(*last, 3), 1U);
  }
  EXPECT_LE(mapping_count(), before + 2);
}

/// Views of one version, one after the other: whether the last one that was closed has left its mapping.
bool views_leave_a_mapping(const Snapshot& version) {
  const std::uint64_t before = MappingBudget::used.load();
  for (int i = 0; i < 3; ++i) (void)version.view();
  return MappingBudget::used.load() > before;
}

TEST_P(IdleViews, keep_their_mapping_only_where_that_is_few_runs) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot whole = arena.snapshot();
  EXPECT_TRUE(views_leave_a_mapping(whole));
  for (std::size_t page = 0; page < pages; page += 4) put_mark(arena, page, 2);  // whose old content is in history now
  const Snapshot last = arena.snapshot();
  for (int i = 0; i < 2; ++i) (void)last.view();  // what was idle goes
  EXPECT_FALSE(views_leave_a_mapping(whole));
  EXPECT_EQ(mark_of(whole, 4), 1U);
}

TEST_P(IdleViews, leave_nothing_where_mappings_are_short) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot version = arena.snapshot();
  {
    const BudgetLeft left(4000);
    EXPECT_FALSE(views_leave_a_mapping(version));
  }
  EXPECT_TRUE(views_leave_a_mapping(version));
}

TEST_P(IdleViews, of_which_several_were_open_leave_one_and_give_back_the_rest) {
  const std::uint64_t budget = MappingBudget::used.load();
  const std::size_t before = mapping_count();
  {
    Arena arena = make_arena(pages);
    fill_run(arena, 0, pages, 1);
    const Snapshot version = arena.snapshot();
    (void)version.view();
    (void)version.view();
    std::vector<View> open;
    for (int i = 0; i < 4; ++i) open.push_back(version.view());
    const std::size_t all = mapping_count();
    open.clear();
    EXPECT_LE(mapping_count(), all - 3);
  }
  EXPECT_LE(mapping_count(), before + 2);
  EXPECT_EQ(MappingBudget::used.load(), budget);
}

// What a file is cut short of is gone from the mapping too: nobody may find it ready.
TEST_P(IdleViews, of_what_was_loaded_keep_no_mapping) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("cow_idle_view_" + std::to_string(::getpid()));
  {
    Arena arena = make_arena(pages);
    fill_run(arena, 0, pages, 1);
    save(arena.snapshot(), file);
  }
  LoadOptions options;
  options.barrier = GetParam();
  Arena loaded = load(file, options);
  std::filesystem::remove(file);
  const Snapshot version = loaded.snapshot();
  EXPECT_FALSE(views_leave_a_mapping(version));
}

TEST_P(IdleViews, are_no_harm_where_the_kernel_refuses_anything) {
  for (std::int64_t nth = 1; nth < 200; ++nth) {
    Arena arena = make_arena(pages);
    fill_run(arena, 0, 16, 1);
    for (int i = 0; i < 3; ++i) (void)arena.snapshot().view();
    fill(arena, 3, 2);
    const Snapshot version = arena.snapshot();
    const std::int64_t before = os::calls_made();
    os::fail_after(nth);
    try {
      const View view = version.view();
      EXPECT_EQ(mark_of(view, 3), 2U);
    } catch (const std::exception&) {
    }
    os::fail_after(0);
    const bool enough = os::calls_made() - before < nth;
    const View view = version.view();
    EXPECT_EQ(mark_of(view, 3), 2U) << nth;
    EXPECT_EQ(mark_of(view, 4), 1U) << nth;
    EXPECT_EQ(mark_of(view, 100), 0U) << nth;
    if (HasFailure() || enough) return;
  }
  ADD_FAILURE() << "opening a view never ends";
}

}  // namespace
}  // namespace cow::test

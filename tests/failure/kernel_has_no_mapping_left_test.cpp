// Promise of the kernel barrier: where the kernel itself refuses mappings, since other code has taken all that the
// process may have, every store to arenas and clones passes, and all is right at that time and later; operations
// succeed or throw. So also where an arena with many pages that moved has to change its barrier just then: it does, or stays.
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/mappings_full.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 2048;

/// An arena with versions and clones, whose pages have moved here and there; all of it beside pictures.
struct Moved {
  Moved() : arena(made()) {
    fill_all(arena, now, 1);
    cut();
    clones.push_back(versions[0].clone());
    of_clones.push_back(now);
    write(3, 2);
    cut();
    clones.push_back(versions[1].clone());
    of_clones.push_back(now);
    write(5, 3);
    cut();
    write(7, 4);
  }

  static Arena made() {
    return quiet_arena(Barrier::kernel, pages);
  }
  static void fill_all(const Arena& to, Picture& picture, std::uint64_t value) {
    for (std::size_t page = 0; page < pages; ++page) put_mark(to, page, picture[page] = value);
  }
  void write(std::size_t step, std::uint64_t value) {
    for (std::size_t page = step; page < pages; page += step) put_mark(arena, page, now[page] = value);
  }
  void cut() {
    versions.push_back(arena.snapshot());
    of_versions.push_back(now);
  }
  /// In as far as it can be had.
  template <class F>
  static bool tried(F&& f) {
    try {
      return f(), true;
    } catch (const std::exception&) {
      return false;
    }
  }
  /// Reading a version needs memory for what is found out, which may not be had.
  testing::AssertionResult is_right(bool with_versions) const {
    for (std::size_t page = 0; page < pages; ++page) {
      if (mark_of(arena, page) != now[page]) return wrong("the arena", page, mark_of(arena, page), now[page]);
      for (std::size_t i = 0; i < clones.size(); ++i) {
        const std::uint64_t found = mark_of(clones[i], page);
        if (found != of_clones[i][page]) return wrong("a clone", page, found, of_clones[i][page]);
      }
      for (std::size_t i = 0; i < (with_versions ? versions.size() : 0); ++i) {
        const std::uint64_t found = mark_of(versions[i], page);
        if (found != of_versions[i][page]) return wrong("a version", page, found, of_versions[i][page]);
      }
    }
    return testing::AssertionSuccess();
  }
  static testing::AssertionResult wrong(const char* what, std::size_t page, std::uint64_t found, std::uint64_t wanted) {
    return testing::AssertionFailure() << what << ", page " << page << ": " << found << ", expected " << wanted;
  }

  Arena arena;
  Picture now = Picture(pages, 0);
  std::vector<Snapshot> versions;
  std::vector<Picture> of_versions;
  std::vector<Arena> clones;
  std::vector<Picture> of_clones;
};

class KernelHasNoMappingLeft : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
    if (under_sanitizer) GTEST_SKIP() << "the run-times of sanitizers need mappings too";
    if (mapping_limit() > 200'000) GTEST_SKIP() << "this machine's vm.max_map_count is too large to be used up";
  }
};

constexpr std::size_t many = 8000;  // more than the runs of such an arena
constexpr std::size_t mappings_left[] = {0, 2, 20, 200, many};

TEST_F(KernelHasNoMappingLeft, and_stores_and_operations_leave_all_right) {
  for (const std::size_t left : mappings_left) {
    Moved all;
    {
      const MappingsFull full(left);
      ASSERT_TRUE(full);
      all.write(2, 10);
      Moved::tried([&] { all.cut(); });
      Moved::fill_all(all.clones[0], all.of_clones[0], 11);
      all.write(9, 12);
      if (Moved::tried([&] { all.arena.rollback(all.versions[1]); })) all.now = all.of_versions[1];
      all.write(11, 13);
      Moved::tried([&] { all.cut(); });
      if (Moved::tried([&] { all.clones.push_back(all.versions.back().clone()); })) {
        all.of_clones.push_back(all.of_versions.back());
      }
      Moved::tried([&] { (void)all.versions[0].view(); });
      all.write(4, 14);
      ASSERT_TRUE(all.is_right(false)) << left << " mappings left";
    }
    all.cut();
    all.write(3, 15);
    ASSERT_TRUE(all.is_right(true)) << left << " mappings had been left";
    all.clones.clear();
    all.of_clones.clear();
    all.cut();
    all.write(6, 16);
    all.cut();
    ASSERT_TRUE(all.is_right(true)) << left << " mappings had been left";
  }
}

TEST_F(KernelHasNoMappingLeft, while_the_barrier_changes_there_and_back) {
  for (const std::size_t left : mappings_left) {
    Moved all;
    {
      std::optional<MappingsFull> full(left);
      ASSERT_TRUE(*full);
      Moved::tried([&] { start_fault_profile({.every = 1}); });
      EXPECT_EQ(all.arena.barrier() == Barrier::kernel, left != many) << left;
      all.write(2, 20);
      Moved::fill_all(all.clones[1], all.of_clones[1], 21);
      ASSERT_TRUE(all.is_right(false)) << left << " mappings left";
      Moved::tried([&] { all.cut(); });
      all.write(5, 22);
      stop_fault_profile();
      for (std::uint64_t again = 0; again < 2; ++again) {
        Moved::tried([&] { all.cut(); });
        all.write(7, 23 + again);
        ASSERT_TRUE(all.is_right(false)) << left << " mappings left";
      }
    }
    for (std::uint64_t cut = 0; cut < 3; ++cut) {
      all.cut();
      all.write(3 + cut, 30 + cut);
      ASSERT_TRUE(all.is_right(true)) << left << " mappings had been left";
      if (cut == 0) {
        all.clones.clear();
        all.of_clones.clear();
      }
    }
  }
}

}  // namespace
}  // namespace cow::test

// Promise: what a parent keeps for its children goes when they end or become other programs, without being told; and
// fork() costs what it would cost without arenas, and a little for each run of pages.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "fork/pair.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"

namespace cow::test {
namespace {

class ForkRelease : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ForkRelease);

constexpr std::size_t pages = 64;

std::size_t memory_files_open() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    count += std::filesystem::read_symlink(entry.path(), error).string().starts_with("/memfd:") ? 1 : 0;
  }
  return count;
}

struct Levels {
  explicit Levels(const Arena& arena) {
    const ArenaStats stats = arena.stats();
    frames = stats.file_frames_used + stats.history_frames_used;
    versions = stats.snapshots_alive;
    memory_files = memory_files_open();
  }
  friend bool operator==(const Levels&, const Levels&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Levels& levels) {
    return out << levels.frames << " frames, " << levels.versions << " versions, " << levels.memory_files
               << " memory files";
  }

  std::uint64_t frames = 0, versions = 0;
  std::size_t memory_files = 0;
};

TEST_P(ForkRelease, keeps_what_a_living_child_shows_and_no_longer) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const Levels before(painted.arena());
  {
    Pair pair([](Turn& turn) {
      turn.wait();
      return 0;
    });
    painted.paint_run(0, pages, 2);
    const Levels during(painted.arena());
    EXPECT_EQ(during.frames, before.frames + pages);
    pair.give_turn();
    EXPECT_EQ(pair.finish(), 0);
  }
  EXPECT_EQ(Levels(painted.arena()), before);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(ForkRelease, comes_at_the_next_snapshot_too) {
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  for (int round = 0; round < 20; ++round) {
    Pair pair([] { return 0; });
    painted.paint_run(0, pages, 2);
    EXPECT_EQ(pair.finish(), 0);
    const Snapshot passing = painted.arena().snapshot();
    painted.paint_run(0, pages, 3);
  }
  const ArenaStats stats = painted.arena().stats();
  EXPECT_LE(stats.file_frames_used + stats.history_frames_used, 3 * pages);
}

TEST_P(ForkRelease, comes_however_the_child_ends) {
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const Levels before(painted.arena());
  const std::vector<std::function<int()>> ends = {
      [] { return 0; },
      []() -> int { std::_Exit(0); },
      [] { return ::raise(SIGKILL); },
      [] {
        ::execl("/bin/true", "true", nullptr);
        return 1;
      },
  };
  for (const auto& end : ends) {
    Pair pair(end);
    painted.paint_run(0, pages, 2);
    pair.finish();
    EXPECT_EQ(Levels(painted.arena()), before);
  }
}

// The program that a child becomes may run for years.
TEST_P(ForkRelease, does_not_wait_for_the_program_that_a_child_becomes) {
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const Levels before(painted.arena());
  Pair pair([] {
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
    return 1;
  });
  painted.paint_run(0, pages, 2);
  for (int tries = 0; tries < 5000 && !(Levels(painted.arena()) == before); ++tries) ::usleep(1000);
  EXPECT_EQ(Levels(painted.arena()), before);
}

TEST_P(ForkRelease, waits_for_the_childs_own_children) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const Levels before(painted.arena());
  Channel go, gone;
  Pair pair([&] {
    if (::fork() != 0) return 0;
    go.wait();
    gone.send(0);
    return 0;
  });
  EXPECT_EQ(pair.finish(), 0);
  painted.paint_run(0, pages, 2);
  EXPECT_EQ(Levels(painted.arena()).frames, before.frames + pages);
  go.send(0);
  gone.wait();
  for (int tries = 0; tries < 5000 && !(Levels(painted.arena()) == before); ++tries) ::usleep(1000);
  EXPECT_EQ(Levels(painted.arena()), before);
}

TEST_P(ForkRelease, of_many_children_that_end_in_any_order_gives_all_back) {
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const Levels before(painted.arena());
  const std::size_t mappings_before = mapping_count();
  std::vector<std::unique_ptr<Pair>> pairs;
  for (std::uint64_t i = 0; i < 30; ++i) {
    pairs.push_back(std::make_unique<Pair>([&painted](Turn& turn) {
      turn.wait();
      return painted.is_right() ? 0 : 1;
    }));
    painted.paint_run(i, 20, 10 + i);
  }
  while (!pairs.empty()) {
    const auto any = pairs.begin() + static_cast<std::ptrdiff_t>(pairs.size() * 7 % 13 % pairs.size());
    (*any)->give_turn();
    EXPECT_EQ((*any)->finish(), 0);
    pairs.erase(any);
    painted.paint_run(pairs.size(), 5, 99);
  }
  EXPECT_TRUE(painted.is_right());
  EXPECT_EQ(Levels(painted.arena()), before);
  EXPECT_LE(mapping_count(), mappings_before + pages);
}

TEST_P(ForkRelease, is_not_needed_for_vfork_and_posix_spawn) {
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const std::uint64_t epoch = painted.arena().stats().epoch;
  char program[] = "true";
  char* const arguments[] = {program, nullptr};
  pid_t pid = -1;
  ASSERT_EQ(::posix_spawnp(&pid, program, nullptr, nullptr, arguments, environ), 0);
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(painted.arena().stats().epoch, epoch) << "a cut was made for a child that shares nothing";
}

// -- Kernel calls that fail ---------------------------------------------------------------------------------------

constexpr int shut_out = 1000 + SIGSEGV;

// Each kernel call of the fork fails once, in the parent or in the child: the child has its copy or is shut out of the
// arena. It never has another content, and the parent is none the worse.
TEST_P(ForkRelease, of_a_fork_that_lacks_memory_leaves_a_child_that_is_right_or_shut_out) {
  int right = 0, out = 0;
  for (std::int64_t nth = 1; nth < 40; ++nth) {
    Painted painted(make_arena(pages));
    painted.paint_run(0, 20, 1);
    painted.paint_run(40, 3, 2);
    const View view = painted.arena().snapshot().view();
    painted.paint_run(10, 3, 3);
    const Picture at_fork = painted.picture();
    os::fail_after(nth);
    Pair pair([&](Turn& turn) {
      os::fail_after(0);
      ::signal(SIGSEGV, SIG_DFL);
      turn.wait();
      if (!shows(painted.arena(), at_fork)) return 1;
      painted.paint_run(0, pages, 9);
      return painted.is_right() ? 0 : 2;
    });
    os::fail_after(0);
    painted.paint_run(0, pages, 4);
    pair.give_turn();
    const int result = pair.finish();
    right += result == 0 ? 1 : 0;
    out += result == shut_out ? 1 : 0;
    EXPECT_TRUE(result == 0 || result == shut_out) << "call " << nth << " failed, and the child said " << result;
    EXPECT_TRUE(painted.is_right());
    EXPECT_EQ(painted.arena().stats().snapshots_alive, 1u);
  }
  EXPECT_GT(right, 0);
  EXPECT_GT(out, 2);
}

// -- Time ---------------------------------------------------------------------------------------------------------

double median_fork_us() {
  std::vector<double> times;
  for (int round = 0; round < 21; ++round) {
    const auto start = std::chrono::steady_clock::now();
    Pair pair([] { return 0; });
    const auto end = std::chrono::steady_clock::now();
    pair.finish();
    times.push_back(std::chrono::duration<double, std::micro>(end - start).count());
  }
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

TEST(ForkTime, hardly_grows_with_a_filled_arena) {
  constexpr std::size_t size = std::size_t{1} << 30;
  if (under_sanitizer) GTEST_SKIP() << "times mean nothing here";
  if (available_memory_bytes() < 2 * size) GTEST_SKIP() << "needs a GiB of memory";
  const double without = median_fork_us();
  Arena arena(ArenaOptions{.capacity = size});
  const double empty = median_fork_us();
  for (std::size_t at = 0; at < size; at += page_size()) arena.data()[at] = std::byte{1};
  const double filled = median_fork_us();
  const std::size_t gap = page_size() * 97;
  for (std::size_t at = 0; at < size; at += gap) arena.data()[at] = std::byte{2};
  const double scattered = median_fork_us();
  std::cout << "fork(): " << without << " us without arena, " << empty << " us with an empty one of 1 GiB, " << filled
            << " us when it is filled, " << scattered << " us after " << size / gap << " scattered writes\n";
  EXPECT_LT(filled, without + 3000) << "a fork that copied page tables would take 8 ms";
}

}  // namespace
}  // namespace cow::test

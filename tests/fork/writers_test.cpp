// Promise: fork() in a program whose other threads write on is one cut through all of its memory, arenas included, and
// both sides are right afterwards, byte for byte.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "fork/pair.hpp"
#include "fork/writer.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

/// Writers over two arenas, so that a cut that is not one over both shows.
struct Writers {
  static constexpr std::size_t count = 2;

  explicit Writers(Barrier barrier) {
    for (std::size_t i = 0; i < count; ++i) arenas.emplace_back(options_for(barrier, Writer::pages + 8));
  }
  void start(Team& team) {
    for (std::size_t i = 0; i < count; ++i) team.keep_doing([this, i] { writers[i].write_round(arenas[i].data()); });
  }
  int check() const {
    for (std::size_t i = 0; i < count; ++i)
      if (const int wrong = writers[i].check(arenas[i].data()); wrong != 0) return wrong;
    return 0;
  }
  int check_child() const {
    if (const int wrong = check(); wrong != 0) return wrong;
    std::vector<Bytes> seen;
    for (const Arena& arena : arenas) seen.emplace_back(arena.data(), arena.data() + arena.capacity());
    for (int wait = 0; wait < 3; ++wait) std::this_thread::yield();
    for (std::size_t i = 0; i < count; ++i)
      if (std::memcmp(seen[i].data(), arenas[i].data(), seen[i].size()) != 0) return 4;
    for (const Arena& arena : arenas) fill_run(arena, 0, Writer::pages + 8, 77);
    for (const Arena& arena : arenas)
      if (!shows(arena, Picture(Writer::pages + 8, 77))) return 5;
    return 0;
  }

  std::vector<Arena> arenas;
  Writer writers[count];
};

class ForkBesideWriters : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ForkBesideWriters);

constexpr int forks = under_sanitizer ? 40 : 200;

TEST_P(ForkBesideWriters, is_one_cut_through_all_memory) {
  Writers all(GetParam());
  Team team;
  all.start(team);
  for (int round = 0; round < forks; ++round) {
    Pair pair([&] { return all.check_child(); });
    ASSERT_EQ(pair.finish(), 0) << "fork " << round;
  }
  team.stop();
  EXPECT_EQ(all.check(), 0);
}

TEST_P(ForkBesideWriters, and_snapshots_and_clones_and_views_is_one_cut_all_the_same) {
  // AddressSanitizer's allocator takes its locks along into the child as they are, and these threads allocate.
  if (under_asan) GTEST_SKIP() << "sanitizers have locks of their own over a fork()";
  Writers all(GetParam());
  Team team;
  all.start(team);
  team.keep_doing([&] {
    const Snapshot passing = all.arenas[0].snapshot();
    const View view = passing.view();
  });
  team.keep_doing([&] { const Arena passing = all.arenas[1].clone(); });
  for (int round = 0; round < forks / 2; ++round) {
    Pair pair([&] { return all.check_child(); });
    ASSERT_EQ(pair.finish(), 0) << "fork " << round;
  }
  team.stop();
  EXPECT_EQ(all.check(), 0);
}

// Pages that stayed writable after a snapshot are protected for the cut: fork() comes at any time, also beside the one
// writer.
TEST_P(ForkBesideWriters, is_one_cut_also_where_pages_stay_writable) {
  ArenaOptions options = options_for(GetParam(), 256);
  options.single_writer = true;
  Arena arena(options);
  std::atomic<std::uint64_t> outside{0};
  std::vector<Snapshot> kept(5);
  for (std::uint64_t round = 1; round < 60; ++round) {
    for (std::uint64_t interval = 0; interval < kept.size(); ++interval) {
      for (std::size_t page = 0; page < 256; ++page) store_word(page_at(arena, page), round << 32 | interval);
      kept[interval] = arena.snapshot();
    }
    Team writer;
    writer.keep_doing([&, number = round << 32]() mutable {
      store_word(page_at(arena, 0), ++number);
      outside.store(number, std::memory_order_release);
    });
    for (const std::uint64_t before = outside.load(); outside.load() == before;) std::this_thread::yield();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(outside.load() <= load_word(page_at(arena, 0)) ? 0 : 1);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0) << "the child's own memory is ahead of its arena in round " << round;
  }
}

// The moment between the cut and the copy of the process is ours to use: prepare handlers run last in, first out, and
// the library adds its own when it is loaded.
struct WriteAfterTheCut {
  std::atomic<bool> armed{false}, go{false};
  std::atomic<std::uint64_t> outside{0};
};
constinit WriteAfterTheCut after_the_cut;

void let_the_writer_write() {
  if (!after_the_cut.armed.load()) return;
  after_the_cut.go.store(true);
  for (const Until waiting(std::chrono::milliseconds(50)); waiting && after_the_cut.outside.load() == 0;) {
    std::this_thread::yield();
  }
}

[[gnu::constructor(200)]] void come_before_the_library() { ::pthread_atfork(let_the_writer_write, nullptr, nullptr); }

COW_CHILD_BODY(fork_while_the_one_writer_has_just_not_written) {
  ArenaOptions options = options_for(argument == "userfaultfd" ? Barrier::userfaultfd : Barrier::mprotect, 16);
  options.single_writer = true;
  Arena arena(options);
  std::vector<Snapshot> kept;
  for (std::uint64_t interval = 1; interval < 8; ++interval) {
    store_word(page_at(arena, 3), interval);
    kept.push_back(arena.snapshot());
  }
  CHECK_IN_CHILD(arena.stats().pages_writable == 1);  // else nothing is tried here
  std::thread writer([&] {
    while (!after_the_cut.go.load()) std::this_thread::yield();
    store_word(page_at(arena, 3), 99);
    after_the_cut.outside.store(99);
  });
  after_the_cut.armed.store(true);
  Pair pair([&] { return after_the_cut.outside.load() == 99 && load_word(page_at(arena, 3)) != 99 ? 2 : 0; });
  const int result = pair.finish();
  writer.join();
  return load_word(page_at(arena, 3)) == 99 ? result : 1;
}

// Nothing was written since the last snapshot, which is no reason to leave the page open.
TEST_P(ForkBesideWriters, is_one_cut_also_where_pages_stay_writable_and_were_not_written) {
  const ChildResult result = run_child("fork_while_the_one_writer_has_just_not_written", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

// Two threads fork at once, and several children live at the same time.
TEST_P(ForkBesideWriters, may_be_called_by_several_threads) {
  Writers all(GetParam());
  Team team;
  all.start(team);
  std::atomic<int> wrong{0};
  Team::all_at_once(2, [&](std::size_t) {
    for (int round = 0; round < forks / 10; ++round) {
      std::vector<std::unique_ptr<Pair>> pairs;
      for (int i = 0; i < 3; ++i) pairs.push_back(std::make_unique<Pair>([&] { return all.check_child(); }));
      for (const auto& pair : pairs)
        if (pair->finish() != 0) ++wrong;
    }
  });
  team.stop();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(all.check(), 0);
}

}  // namespace
}  // namespace cow::test

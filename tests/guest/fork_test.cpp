// Promise: fork() waits for nobody who may be waiting for it. Other libraries' handlers and libc itself take locks
// between the cut through the arenas and the copy of the process; a thread that holds one of those may do anything with
// an arena. The child is right all the same: its arenas are of one moment, and it can use them and make others.
#include <atomic>
#include <boost/container/map.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <setjmp.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "guest/fork_support.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 24;

/// What a program in any state can do afterwards.
int use_arenas_of_its_own(Barrier barrier) {
  Arena arena(options_for(barrier, pages));
  Heap heap(arena);
  void* const block = heap.allocate(100);
  const Snapshot snapshot = arena.snapshot();
  const Arena clone = arena.clone();
  const View view = snapshot.view();
  heap.deallocate(block);
  return heap.check().ok() ? 0 : 40;
}

struct Subject {
  explicit Subject(Barrier of)
      : barrier(of), arena(options_for(of, pages)), heap_arena(options_for(of, 1024)), heap(heap_arena) {
    fill_run(arena, 0, pages, 1);
    base = arena.snapshot();
    clone.emplace(arena.clone());
    view = base.view();
    fill_run(arena, 0, pages, 2);
    block = heap.allocate(1000);
  }

  /// In the child: 0 if all is as it was before the fork().
  int check_child() {
    if (!shows(arena, Picture(pages, 2))) return 20;
    fill_run(arena, 0, pages, 9);
    if (!shows(arena, Picture(pages, 9))) return 21;
    if (heap.usable_size(block) < 1000 || !heap.check().ok()) return 22;
    for (std::size_t i = 1; i < 200; ++i) heap.deallocate(heap.allocate(i * 50));
    heap.deallocate(block);
    if (!heap.check().ok()) return 23;
    return use_arenas_of_its_own(barrier);
  }

  Barrier barrier;
  Arena arena, heap_arena;
  Heap heap;
  Snapshot base;
  std::optional<Arena> clone;
  View view;
  void* block = nullptr;
};

using Deed = std::function<void(Subject&)>;

const std::map<std::string, Deed>& deeds() {
  static const std::map<std::string, Deed> all = {
      {"store", [](Subject& s) { fill_run(s.arena, 0, pages, 3); }},
      {"write", [](Subject& s) { s.arena.write(s.arena.data(), "new", 4); }},
      {"prepare_write", [](Subject& s) { s.arena.prepare_write(s.arena.data(), s.arena.capacity()); }},
      {"discard", [](Subject& s) { s.arena.discard(s.arena.data(), s.arena.capacity()); }},
      {"snapshot", [](Subject& s) { (void)s.arena.snapshot(); }},
      {"clone", [](Subject& s) { (void)s.arena.clone(); }},
      {"view", [](Subject& s) { (void)s.base.view(); }},
      {"close_a_view", [](Subject& s) { s.view = View(); }},
      {"destroy", [](Subject& s) { s.clone.reset(); }},
      {"rollback", [](Subject& s) { s.arena.rollback(s.base); }},
      {"stats", [](Subject& s) { (void)s.arena.stats(); }},
      {"make_an_arena", [](Subject& s) { const Arena made(options_for(s.barrier, pages)); }},
      {"make_a_heap", [](Subject& s) { use_arenas_of_its_own(s.barrier); }},
      {"fork",
       [](Subject& s) {
         if (fork_and_wait([&] { return s.check_child(); }) != 0) fill_run(s.heap_arena, 0, 1, 99);  // to be noticed
       }},
      {"allocate",
       [](Subject& s) {
         for (std::size_t i = 1; i < 200; ++i) s.heap.deallocate(s.heap.allocate(i * 100));
       }},
      {"all",
       [](Subject& s) {
         for (const auto& [name, deed] : deeds())
           if (name != "all" && name != "fork") deed(s);
       }},
  };
  return all;
}

COW_CHILD_BODY(fork_meanwhile) {
  const std::size_t colon = argument.find(':');
  const Deed& deed = deeds().at(argument.substr(colon + 1));
  Subject subject(barrier_named(argument.substr(0, colon)));
  int code = -1;
  {
    const Meanwhile meanwhile([&] { deed(subject); });
    code = fork_and_wait([&] { return subject.check_child(); });
  }
  fill_run(subject.arena, 0, pages, 5);
  CHECK_IN_CHILD(shows(subject.arena, Picture(pages, 5)));
  CHECK_IN_CHILD(shows(subject.base, Picture(pages, 1)));
  CHECK_IN_CHILD(subject.heap.check().ok());
  CHECK_IN_CHILD(subject.arena.stats().snapshots_alive == 1);  // nothing is kept for the child that has ended
  CHECK_IN_CHILD(fork_and_wait([&] { return shows(subject.arena, Picture(pages, 5)) ? 0 : 1; }) == 0);
  return code;
}

class GuestFork : public BarrierTest {
 protected:
  void expect_well(const std::string& body, const std::string& argument = "") {
    const std::string whole = std::string(name_of(GetParam())) + (argument.empty() ? "" : ":" + argument);
    const ChildResult result = run_in_time(body, whole);
    EXPECT_TRUE(result.exited_with(0)) << whole << ": " << result.how();
  }
};
COW_FOR_EVERY_BARRIER(GuestFork);

TEST_P(GuestFork, does_not_wait_for_a_thread_that_stores_under_a_lock_of_others) {
  expect_well("fork_meanwhile", "store");
}

TEST_P(GuestFork, does_not_wait_for_a_thread_that_allocates_under_a_lock_of_others) {
  expect_well("fork_meanwhile", "allocate");
}

TEST_P(GuestFork, does_not_wait_for_any_operation_under_a_lock_of_others) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer says in a fork() child that the parent's threads leak";
  for (const auto& [name, deed] : deeds()) expect_well("fork_meanwhile", name);
}

// A child finds the registry of heaps as a thread left it that was at it.
COW_CHILD_BODY(fork_while_heaps_are_attached) {
  using Map = boost::container::map<int, int, std::less<int>, Allocator<std::pair<const int, int>>>;
  constexpr int count = 20;
  std::vector<Arena> arenas;
  std::vector<Map*> maps;
  for (int i = 0; i < count; ++i) {
    arenas.emplace_back(options_for(barrier_named(argument), 256));
    Heap heap(arenas.back());
    maps.push_back(heap.create<Map>(Allocator<int>(heap)));
  }
  Team team;
  for (int thread = 0; thread < 3; ++thread)
    team.keep_doing([&, i = std::size_t{0}]() mutable { const Heap again(arenas[++i % count]); });
  for (int round = 0; round < 40; ++round) {
    const int code = fork_and_wait([&] {
      for (Map* map : maps)
        for (int i = 0; i < 30; ++i) (*map)[i] = i;
      for (const Map* map : maps)
        if (map->size() != 30) return 1;
      return use_arenas_of_its_own(barrier_named(argument));
    });
    CHECK_IN_CHILD(code == 0);
  }
  return 0;
}

TEST_P(GuestFork, leaves_the_child_all_heaps_to_be_found) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer does not follow threads into a fork()";
  // AddressSanitizer's allocator takes its locks along into the child as they are, and these threads allocate.
  if (under_asan) GTEST_SKIP() << "sanitizers have locks of their own over a fork()";
  expect_well("fork_while_heaps_are_attached");
}

// -- libc's own locks ---------------------------------------------------------------------------------------------

// No handler of anybody: fork() itself takes the lock of the list of streams. The stranger only makes the moment sure.
COW_CHILD_BODY(fork_while_streams_are_flushed) {
  Arena arena(options_for(barrier_named(argument), pages));
  fill_run(arena, 0, pages, 1);
  FILE* const stream = ::fmemopen(arena.data(), arena.capacity(), "w");
  CHECK_IN_CHILD(stream != nullptr);
  CHECK_IN_CHILD(std::fputs("in the arena", stream) >= 0);
  const Snapshot snapshot = arena.snapshot();
  std::atomic<bool> go{false};
  std::thread thread([&] {
    while (!go) std::this_thread::yield();
    std::fflush(nullptr);
  });
  stranger().before = [&] {
    go = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // for the thread to be inside
  };
  const int code = fork_and_wait([&] { return shows(arena, Picture(pages, 1)) ? 0 : 1; });
  thread.join();
  stranger() = {};
  CHECK_IN_CHILD(std::string(reinterpret_cast<const char*>(arena.data())) == "in the arena");
  std::fclose(stream);
  return code;
}

TEST_P(GuestFork, does_not_wait_for_a_thread_that_flushes_a_stream_into_an_arena) {
  expect_well("fork_while_streams_are_flushed");
}

/// A program's allocator whose memory is in an arena, and which is made safe to fork the usual way.
class Pool {
 public:
  explicit Pool(Arena& arena) : arena_(arena) {}
  void* take(std::size_t bytes) {
    const std::lock_guard guard(lock_);
    std::byte* const block = arena_.data() + used_;
    used_ = used_ + bytes < arena_.capacity() ? used_ + bytes : 0;
    *block = std::byte{1};  // its header
    return block;
  }
  void lock() { lock_.lock(); }
  void unlock() { lock_.unlock(); }

 private:
  std::mutex lock_;
  Arena& arena_;
  std::size_t used_ = 0;
};

COW_CHILD_BODY(fork_with_an_allocator_in_the_arena) {
  Arena arena(options_for(barrier_named(argument), 512));
  Pool pool(arena);
  stranger() = {[&] { pool.lock(); }, [&] { pool.unlock(); }};
  Team team;
  team.keep_doing([&] { (void)pool.take(700); });
  team.keep_doing([&] { (void)pool.take(3000); });
  for (int round = 0; round < 10; ++round) {
    const Snapshot snapshot = arena.snapshot();
    CHECK_IN_CHILD(fork_and_wait([&] { return pool.take(100) != nullptr ? 0 : 1; }) == 0);
  }
  team.stop();
  stranger() = {};
  return 0;
}

TEST_P(GuestFork, does_not_wait_for_an_allocator_whose_memory_is_in_an_arena) {
  expect_well("fork_with_an_allocator_in_the_arena");
}

// -- A fork() that takes long, or never ends ----------------------------------------------------------------------

// Whoever would wait is let through after a while, and then the process is copied in the middle of anything.
COW_CHILD_BODY(fork_that_takes_long_beside_everything) {
  const Barrier barrier = barrier_named(argument);
  Arena arena(options_for(barrier, pages)), heap_arena(options_for(barrier, 4096));
  Heap heap(heap_arena);
  stranger().before = [] { std::this_thread::sleep_for(std::chrono::milliseconds(90)); };
  Team team;
  team.keep_doing([&, number = std::uint64_t{0}]() mutable {
    ++number;
    for (std::size_t page = 0; page < pages; ++page) store_word(page_at(arena, page), number);
  });
  team.keep_doing([&] { const View view = arena.snapshot().view(); });
  team.keep_doing([&] { const Arena clone = arena.clone(); });
  team.keep_doing([&] { (void)use_arenas_of_its_own(barrier); });
  team.keep_doing([&, i = std::size_t{0}]() mutable { heap.deallocate(heap.allocate(++i % 9000)); });
  for (int round = 0; round < 8; ++round) {
    const int code = fork_and_wait([&] {
      // Page by page, so that an earlier one is at most one round ahead, and no later one is.
      const std::uint64_t newest = load_word(page_at(arena, 0)), oldest = load_word(page_at(arena, pages - 1));
      if (newest - oldest > 1) return 1;
      for (std::size_t page = 1; page < pages; ++page)
        if (load_word(page_at(arena, page - 1)) < load_word(page_at(arena, page))) return 2;
      for (std::size_t i = 1; i < 100; ++i) heap.deallocate(heap.allocate(i * 90));
      if (!heap.check().ok()) return 3;
      if (const int wrong = use_arenas_of_its_own(barrier); wrong != 0) return wrong;
      stranger() = {};
      return fork_and_wait([&] { return use_arenas_of_its_own(barrier); });
    });
    CHECK_IN_CHILD(code == 0);
  }
  team.stop();
  stranger() = {};
  return heap.check().ok() ? 0 : 2;
}

TEST_P(GuestFork, that_takes_long_copies_each_arena_as_it_was_at_one_moment) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer does not follow threads into a fork()";
  expect_well("fork_that_takes_long_beside_everything");
}

sigjmp_buf out_of_the_fork;

// Libc cannot fork again after this; but writers must not wait for what will never come.
COW_CHILD_BODY(fork_that_is_left_half_way) {
  Arena arena(options_for(barrier_named(argument), pages));
  fill_run(arena, 0, pages, 1);
  std::thread([&] {
    stranger().before = [] { siglongjmp(out_of_the_fork, 1); };
    if (sigsetjmp(out_of_the_fork, 0) == 0) (void)::fork();
  }).join();
  fill_run(arena, 0, pages, 2);
  return shows(arena, Picture(pages, 2)) ? 0 : 1;
}

TEST_P(GuestFork, that_a_handler_leaves_by_a_jump_stops_nobody) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers have locks of their own over a fork()";
  expect_well("fork_that_is_left_half_way");
}

// That fork() takes the cut: the outer one's child cannot have the arenas, but it must not share them.
COW_CHILD_BODY(fork_inside_a_fork) {
  Arena arena(options_for(barrier_named(argument), pages));
  stranger().before = [&, inside = false]() mutable {
    if (std::exchange(inside, true)) return;
    (void)fork_and_wait([] { return 0; });
    fill_run(arena, 0, pages, 1);  // can be written when the process is copied
  };
  const int code = fork_and_wait([&] {
    fill_run(arena, 0, pages, 9);
    return 0;
  });
  stranger() = {};
  return code == -1 && shows(arena, Picture(pages, 1)) ? 0 : 1;
}

TEST_P(GuestFork, inside_another_one_leaves_that_ones_child_nothing_to_write_to) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers have locks of their own over a fork()";
  expect_well("fork_inside_a_fork");
}

// -- New processes that copy nothing ------------------------------------------------------------------------------

[[gnu::noinline]] pid_t vfork_true() {
  const pid_t child = ::vfork();
  if (child != 0) return child;
  ::execl("/bin/true", "true", nullptr);
  ::_exit(1);
}

COW_CHILD_BODY(spawn_beside_writers) {
  Arena arena(options_for(barrier_named(argument), pages));
  Team team;
  team.keep_doing([&, number = std::uint64_t{0}]() mutable {
    ++number;
    for (std::size_t page = 0; page < pages; ++page) store_word(page_at(arena, page), number);
  });
  team.keep_doing([&] { const Snapshot passing = arena.snapshot(); });
  for (int round = 0; round < 10; ++round) {
    char program[] = "true";
    char* const arguments[] = {program, nullptr};
    pid_t pid = -1;
    int status = -1;
    CHECK_IN_CHILD(::posix_spawnp(&pid, program, nullptr, nullptr, arguments, environ) == 0);
    CHECK_IN_CHILD(::waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_IN_CHILD(std::system("true") == 0);
    FILE* const pipe = ::popen("true", "r");
    CHECK_IN_CHILD(pipe != nullptr && ::pclose(pipe) == 0);
    const pid_t child = vfork_true();
    CHECK_IN_CHILD(::waitpid(child, &status, 0) == child && status == 0);
  }
  return 0;
}

TEST_P(GuestFork, is_not_needed_by_programs_that_are_started_beside_writers) { expect_well("spawn_beside_writers"); }

}  // namespace
}  // namespace cow::test

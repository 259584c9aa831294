// Promise: a thread that is to be cancelled finishes what it does with the library first: nothing in there is a point
// where it ends, or ends the process.
#include <atomic>
#include <string>

#include <gtest/gtest.h>
#include <pthread.h>
#include <time.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

std::atomic<bool> finished{false};

template <class Work>
void* work_until_cancelled(void* work) {
  ::pthread_cancel(::pthread_self());  // taken at the first point for it
  (*static_cast<Work*>(work))();
  finished = true;
  ::pthread_testcancel();
  return nullptr;
}

/// Whether the work was done to its end by a thread that was to be cancelled from the start, and that was then.
template <class Work, class Meanwhile>
bool done_before_the_end(Work work, Meanwhile&& meanwhile) {
  finished = false;
  pthread_t thread;
  void* result = nullptr;
  if (::pthread_create(&thread, nullptr, &work_until_cancelled<Work>, &work) != 0) return false;
  meanwhile();
  ::pthread_join(thread, &result);
  return finished && result == PTHREAD_CANCELED;
}
template <class Work>
bool done_before_the_end(Work work) {
  return done_before_the_end(work, [] {});
}

COW_CHILD_BODY(cancelled_in_the_first_arena) {
  return done_before_the_end([] { const Arena arena{ArenaOptions{}}; }) ? 0 : 1;
}

COW_CHILD_BODY(cancelled_while_waiting_for_a_heap) {
  Arena arena{ArenaOptions{}};
  Heap heap(arena);
  const auto hook = arena.ref().cut_hook({});
  hook->before_cut();  // what a snapshot holds
  void* volatile block = nullptr;
  const auto let_it_wait_and_go_on = [&] {
    const timespec long_enough_to_sleep = {0, 50'000'000};
    ::nanosleep(&long_enough_to_sleep, nullptr);
    hook->after_cut();
  };
  CHECK_IN_CHILD(done_before_the_end([&] { block = heap.allocate(100); }, let_it_wait_and_go_on));
  CHECK_IN_CHILD(block != nullptr && heap.check().ok());
  return 0;
}

COW_CHILD_BODY(cancelled_in_everything_else) {
  Arena arena = small_arena();
  const auto everything = [&] {
    fill(arena, 3, 1);
    const Snapshot snapshot = arena.snapshot();
    fill(arena, 3, 2);
    Arena clone = snapshot.clone();
    fill(clone, 3, 3);
    const View view = snapshot.view();
    (void)mark_of(snapshot, 3);
    (void)arena.changed_since(snapshot);
    arena.write(page_at(arena, 4), "word", 4);
    arena.prepare_write(page_at(arena, 5), page_size());
    arena.discard(page_at(arena, 6), page_size());
    arena.rollback(snapshot);
    (void)arena.stats();
    install_fault_handler();
  };
  CHECK_IN_CHILD(done_before_the_end(everything));
  return arena_works(arena) ? 0 : 2;
}

class Cancellation : public testing::TestWithParam<const char*> {};

TEST_P(Cancellation, waits_until_the_library_is_done) {
  if (under_sanitizer) GTEST_SKIP() << "AddressSanitizer takes what cancelled threads leave on stacks for errors";
  const ChildResult result = run_child(GetParam());
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}
INSTANTIATE_TEST_SUITE_P(Operations, Cancellation,
                         testing::Values("cancelled_in_the_first_arena", "cancelled_while_waiting_for_a_heap",
                                         "cancelled_in_everything_else"),
                         [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace cow::test

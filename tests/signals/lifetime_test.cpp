// Promise: the handler is there for as long as anything may fault: after the plugin that brought it is unloaded, among
// static destructors in either order; and what cannot be helped ends the process as it would without us.
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/pages.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

ForeignPage* foreign = nullptr;
volatile int foreign_calls = 0;

void open_the_page(int, siginfo_t*, void*) {
  foreign_calls = foreign_calls + 1;
  foreign->open();
}

// -- Unloading ----------------------------------------------------------------------------------------------------

int use_plugin(bool with_arena) {
  void* const plugin = ::dlopen(COW_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) return 10;
  if (with_arena) {
    void* const found = ::dlsym(plugin, "use_an_arena");
    if (found == nullptr || reinterpret_cast<int (*)()>(found)() != 0) return 11;
  }
  return ::dlclose(plugin) == 0 ? 0 : 12;
}

COW_CHILD_BODY(the_plugin_is_unloaded) {
  ForeignPage page;
  foreign = &page;
  set_handler(open_the_page);
  if (const int code = use_plugin(true); code != 0) return code;
  page.word() = 1;
  if (foreign_calls != 1) return 1;
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return use_plugin(true);
}

COW_CHILD_BODY(the_plugin_is_unloaded_unused) {
  if (const int code = use_plugin(false); code != 0) return code;
  const pid_t pid = ::fork();  // would run what the plugin has left behind for fork()
  if (pid == 0) ::_exit(0);
  return use_plugin(false);
}

TEST(Unloading, leaves_the_handler_where_it_is) {
  const ChildResult result = run_child("the_plugin_is_unloaded");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST(Unloading, without_any_arena_leaves_nothing) {
  const ChildResult result = run_child("the_plugin_is_unloaded_unused");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

// -- The end of the process -----------------------------------------------------------------------------------------

/// Writes to an arena that is a static object too, in its own destructor.
struct WritesAtTheEnd {
  std::optional<Snapshot> snapshot;
  Arena* arena = nullptr;
  ~WritesAtTheEnd() {
    if (arena == nullptr) return;
    fill(*arena, 3, 9);
    const Snapshot last = arena->snapshot();
    fill(*arena, 3, 10);
    if (!filled(page_at(*arena, 3), 10) || mark_of(last, 3) != 9 || mark_of(*snapshot, 3) != 1) ::_exit(5);
  }
};

COW_CHILD_BODY(static_arena_outlives_its_user) {
  static Arena arena = small_arena();
  static WritesAtTheEnd user;  // goes first
  user.snapshot = arena.snapshot();
  user.arena = &arena;
  std::exit(0);
}

COW_CHILD_BODY(static_snapshots_outlive_their_arena) {
  static Snapshot snapshot;
  static View view;
  static std::optional<Arena> clone;
  static Arena arena = small_arena();  // goes first
  snapshot = arena.snapshot();
  view = snapshot.view();
  clone.emplace(snapshot.clone());
  fill(*clone, 2, 7);
  std::exit(0);
}

COW_CHILD_BODY(threads_write_while_the_process_ends) {
  static Arena* const arena = new Arena(small_arena());  // never destroyed: threads that outlive main need that
  static std::size_t first_pages[] = {0, 5, 10};  // each thread has five pages to itself
  for (std::size_t& first_page : first_pages) {
    pthread_t thread;
    const auto write = [](void* first) -> void* {
      for (std::uint64_t number = 0;; ++number) fill(*arena, *static_cast<std::size_t*>(first) + number % 5, number);
    };
    if (::pthread_create(&thread, nullptr, write, &first_page) != 0) return 1;
    ::pthread_detach(thread);
  }
  for (int i = 0; i < 200; ++i) const Snapshot passing = arena->snapshot();
  std::exit(0);
}

class EndOfProcess : public testing::TestWithParam<const char*> {};
TEST_P(EndOfProcess, is_quiet) {
  const ChildResult result = run_child(GetParam());
  EXPECT_TRUE(result.exited_with(0)) << result.how();
  EXPECT_EQ(result.error_text, "");
}
INSTANTIATE_TEST_SUITE_P(Ends, EndOfProcess,
                         testing::Values("static_arena_outlives_its_user", "static_snapshots_outlive_their_arena",
                                         "threads_write_while_the_process_ends"),
                         [](const auto& which) { return std::string(which.param); });

// -- What cannot be helped ------------------------------------------------------------------------------------------

// The kernel cannot deliver the signal, and kills: nothing of ours runs.
COW_CHILD_BODY(the_signal_is_blocked) {
  Arena arena = small_arena();
  const Snapshot snapshot = arena.snapshot();
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGSEGV);
  ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  fill(arena, 3, 2);
  return 3;
}

TEST(BlockedSignal, lets_the_first_store_kill_the_process) {
  const ChildResult result = run_child("the_signal_is_blocked");
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
}

COW_CHILD_BODY(the_signal_is_blocked_but_the_page_was_prepared) {
  Arena arena = small_arena();
  const Snapshot snapshot = arena.snapshot();
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGSEGV);
  ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  arena.prepare_write(page_at(arena, 3), page_size());
  fill(arena, 3, 2);
  return mark_of(snapshot, 3) == 1 ? 0 : 1;
}

TEST(BlockedSignal, does_not_matter_to_a_page_that_was_prepared) {
  const ChildResult result = run_child("the_signal_is_blocked_but_the_page_was_prepared");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

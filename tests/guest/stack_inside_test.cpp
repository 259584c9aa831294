// Promise: a coroutine may have its stack in an arena, where its thread has an alternate stack for signals: what it
// stores is caught and kept. What cannot work there is refused.
#include <csignal>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "cow/cow.hpp"
#include "guest/fork_support.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"

namespace cow::test {
namespace {

constexpr std::size_t stack_pages = 64;

/// A coroutine that runs on the last pages of an arena.
struct Coroutine {
  using Body = void (*)(Coroutine& self);

  Coroutine(Arena& in, Body does) : arena(in), body(does) {
    ::getcontext(&inside);
    inside.uc_stack.ss_sp = arena.data() + arena.capacity() - stack_pages * page_size();
    inside.uc_stack.ss_size = stack_pages * page_size();
    inside.uc_link = &outside;
    current = this;
    ::makecontext(&inside, &Coroutine::start, 0);
  }
  Coroutine(const Coroutine&) = delete;
  Coroutine& operator=(const Coroutine&) = delete;

  void resume() { ::swapcontext(&outside, &inside); }
  void yield() { ::swapcontext(&inside, &outside); }
  static void start() { current->body(*current); }

  static inline Coroutine* current = nullptr;
  Arena& arena;
  Body body;
  ucontext_t inside{}, outside{};
  std::optional<Snapshot> snapshot;
  std::optional<Arena> relative;
  std::optional<View> view;
  int round = 0, refused = 0;
};

alignas(16) char signal_stack[1 << 16];

void use_signal_stack() {
  stack_t stack{};
  stack.ss_sp = signal_stack;
  stack.ss_size = sizeof signal_stack;
  ::sigaltstack(&stack, nullptr);
}

[[gnu::noinline]] int use_stack(int depth, char content) {
  volatile char frame[3000];
  std::memset(const_cast<char*>(frame), content, sizeof frame);
  return depth == 0 ? frame[5] : use_stack(depth - 1, content) + frame[7];
}

void counts(Coroutine& self) {
  for (;;) {
    if (use_stack(19, static_cast<char>(self.round)) != 20 * self.round) self.refused = 1;
    self.yield();
  }
}

COW_CHILD_BODY(a_coroutine_on_a_stack_inside) {
  use_signal_stack();
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 2 * stack_pages));
  Coroutine coroutine(arena, counts);
  for (int round = 1; round < 50; ++round) {
    const Snapshot snapshot = arena.snapshot();
    coroutine.round = round;
    coroutine.resume();
    CHECK_IN_CHILD(coroutine.refused == 0);
    CHECK_IN_CHILD(!arena.changed_since(snapshot).empty());
  }
  return 0;
}

template <class Call>
bool is_refused(Call&& call) {
  try {
    call();
  } catch (const std::logic_error& error) {
    return std::strstr(error.what(), "stack inside the arena") != nullptr;
  }
  return false;
}

// Of an arena of the same family as the one that the stack is in, or of that one.
void asks_for_everything(Coroutine& self) {
  const Snapshot& snapshot = *self.snapshot;
  self.refused += is_refused([&] { (void)self.arena.snapshot(); });
  self.refused += is_refused([&] { (void)self.arena.clone(); });
  self.refused += is_refused([&] { self.arena.rollback(snapshot); });
  self.refused += is_refused([&] { self.arena.write(self.arena.data(), "word", 4); });
  self.refused += is_refused([&] { self.arena.prepare_write(self.arena.data(), 4); });
  self.refused += is_refused([&] { (void)snapshot.clone(); });
  self.refused += is_refused([&] { (void)snapshot.view(); });
}

COW_CHILD_BODY(operations_on_a_stack_inside) {
  use_signal_stack();
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 2 * stack_pages));
  Coroutine coroutine(arena, asks_for_everything);
  coroutine.snapshot = arena.snapshot();
  coroutine.resume();
  return coroutine.refused;
}

void asks_relative_for_everything(Coroutine& self) {
  Arena& relative = *self.relative;
  self.refused += is_refused([&] { (void)relative.snapshot(); });
  self.refused += is_refused([&] { (void)relative.clone(); });
  self.refused += is_refused([&] { relative.rollback(*self.snapshot); });
  self.refused += is_refused([&] { relative.write(relative.data(), "word", 4); });
  self.refused += is_refused([&] { relative.discard(relative.data(), page_size()); });
  self.refused += is_refused([&] { (void)relative.stats(); });
}

COW_CHILD_BODY(operations_of_a_relative) {
  use_signal_stack();
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 2 * stack_pages));
  arena.data()[0] = std::byte{1};
  Arena clone = arena.clone();
  Coroutine coroutine(clone, asks_relative_for_everything);
  coroutine.snapshot = arena.snapshot();
  coroutine.relative = std::move(arena);
  const Snapshot protects = clone.snapshot();
  coroutine.resume();
  return coroutine.refused;
}

// Handles end wherever the last owner is; the pages of the stack below are protected then.
void lets_go(Coroutine& self) {
  volatile char* const deeper = static_cast<char*>(__builtin_alloca(static_cast<std::size_t>(self.round) * 128 + 1));
  *deeper = 1;
  self.snapshot.reset();
  self.yield();
}

COW_CHILD_BODY(a_snapshot_ends_on_a_stack_inside) {
  use_signal_stack();
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 2 * stack_pages));
  for (int round = 0; round < 32; ++round) {  // the end of a page comes at another place in each
    for (std::size_t page = 0; page < 2 * stack_pages; ++page) arena.data()[page * page_size()] = std::byte{1};
    Coroutine coroutine(arena, lets_go);
    coroutine.round = round;
    coroutine.snapshot = arena.snapshot();
    coroutine.resume();
    CHECK_IN_CHILD(!coroutine.snapshot);
  }
  return 0;
}

void lets_relatives_go(Coroutine& self) {
  volatile char* const deeper = static_cast<char*>(__builtin_alloca(static_cast<std::size_t>(self.round) * 128 + 1));
  *deeper = 1;
  self.snapshot.reset();
  self.view.reset();
  self.relative.reset();
  self.yield();
}

// The pages of the stack are lent to the last clone, so that each store moves a page, which needs the family's lock.
COW_CHILD_BODY(relatives_end_on_a_stack_inside) {
  use_signal_stack();
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 2 * stack_pages));
  for (int round = 0; round < 32; ++round) {
    for (std::size_t page = 0; page < 2 * stack_pages; ++page) arena.data()[page * page_size()] = std::byte{1};
    Coroutine coroutine(arena, lets_relatives_go);
    coroutine.round = round;
    coroutine.relative = arena.clone();
    for (std::size_t page = 0; page < 8; ++page) coroutine.relative->data()[page * page_size()] = std::byte{2};
    coroutine.snapshot = coroutine.relative->snapshot();
    coroutine.view = coroutine.snapshot->view();
    const Arena borrows = arena.clone();
    coroutine.resume();
    CHECK_IN_CHILD(!coroutine.relative && !coroutine.snapshot && !coroutine.view);
    CHECK_IN_CHILD(borrows.data()[0] == std::byte{1});
  }
  CHECK_IN_CHILD(arena.stats().snapshots_alive == 0);
  return 0;
}

// The page of the stack is protected by the cut; the child has no such page.
void forks(Coroutine& self) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(1);
  int status = 0;
  (void)!::waitpid(child, &status, 0);
  self.refused += WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 1 : 100;
}

COW_CHILD_BODY(a_fork_on_a_stack_inside) {
  use_signal_stack();
  Arena arena(options_for(argument == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, 2 * stack_pages));
  for (int round = 0; round < 3; ++round) {
    const Snapshot snapshot = arena.snapshot();
    Coroutine coroutine(arena, forks);
    coroutine.resume();
    CHECK_IN_CHILD(coroutine.refused == 1);
    arena.data()[0] = static_cast<std::byte>(round);  // goes on as before
    CHECK_IN_CHILD(!arena.changed_since(snapshot).empty());
  }
  const Snapshot before = arena.snapshot();
  arena.data()[0] = std::byte{7};
  const ChildResult elsewhere = run_forked([&] { return static_cast<int>(arena.data()[0]); });
  CHECK_IN_CHILD(elsewhere.exited_with(7));
  arena.rollback(before);
  CHECK_IN_CHILD(arena.data()[0] == std::byte{2});
  return 0;
}

void profiles(Coroutine& self) {
  start_fault_profile();
  self.refused = use_stack(9, 2) == 20 ? 0 : 1;
  stop_fault_profile();
}

// The profile wants signals of arenas that have none before their first cut.
COW_CHILD_BODY(a_profile_begins_on_a_stack_inside) {
  use_signal_stack();
  Arena arena(options_for(argument == "userfaultfd" ? Barrier::userfaultfd
                          : argument == "kernel"    ? Barrier::kernel
                                                    : Barrier::mprotect,
                          2 * stack_pages));
  Coroutine coroutine(arena, profiles);
  coroutine.refused = 1;
  coroutine.resume();
  CHECK_IN_CHILD(coroutine.refused == 0);
  arena.data()[0] = std::byte{1};
  const Snapshot before = arena.snapshot();
  arena.data()[0] = std::byte{2};
  arena.rollback(before);
  CHECK_IN_CHILD(arena.data()[0] == std::byte{1});
  return 0;
}

class StackInside : public BarrierTest {};
COW_FOR_EVERY_BARRIER(StackInside);

TEST_P(StackInside, an_arena_serves_a_coroutine) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_child("a_coroutine_on_a_stack_inside", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(StackInside, an_arena_refuses_its_operations) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_child("operations_on_a_stack_inside", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(7)) << result.how();
}

TEST_P(StackInside, an_arena_lets_handles_end) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_child("a_snapshot_ends_on_a_stack_inside", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(StackInside, an_arena_lets_a_profile_begin) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_in_time("a_profile_begins_on_a_stack_inside", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(StackInside, a_relative_refuses_its_operations) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_in_time("operations_of_a_relative", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(6)) << result.how();
}

TEST_P(StackInside, an_arena_lets_handles_of_relatives_end) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_in_time("relatives_end_on_a_stack_inside", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(StackInside, an_arena_has_a_child_that_says_why_it_ends) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers want to be told of each stack";
  const ChildResult result = run_in_time("a_fork_on_a_stack_inside", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
  EXPECT_NE(result.error_text.find("fork() on a stack inside arena"), std::string::npos) << result.error_text;
}

}  // namespace
}  // namespace cow::test

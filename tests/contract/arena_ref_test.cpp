// Promise: an ArenaRef follows its arena, knows which pages can be written without a fault, and carries its cut hook.
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class CountingHook : public CutHook {
 public:
  void before_cut() override { ++before; }
  void after_cut() noexcept override { ++after; }

  int before = 0;
  int after = 0;
};

class RefusingHook : public CutHook {
 public:
  void before_cut() override { throw std::runtime_error("not now"); }
  void after_cut() noexcept override {}
};

class Ref : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Ref);

TEST_P(Ref, follows_the_arena_when_it_is_moved) {
  Arena arena = make_arena(4);
  const ArenaRef ref = arena.ref();
  const Arena moved = std::move(arena);
  EXPECT_EQ(ref.data(), moved.data());
  EXPECT_EQ(ref.capacity(), moved.capacity());
  EXPECT_TRUE(ref.contains(moved.data()));
  EXPECT_EQ(ref, moved.ref());
}

TEST_P(Ref, tells_arenas_apart) {
  Arena first = make_arena(4);
  const Arena second = first.clone();
  EXPECT_NE(first.ref(), second.ref());
  EXPECT_TRUE(static_cast<bool>(first.ref()));
  EXPECT_FALSE(static_cast<bool>(ArenaRef()));
}

TEST(EmptyRef, has_nothing_and_refuses_what_it_cannot_do) {
  const ArenaRef empty;
  std::byte somewhere[1];
  EXPECT_EQ(empty.epoch(), 0U);
  EXPECT_FALSE(empty.is_writable(somewhere));
  EXPECT_FALSE(empty.has_excluded(somewhere, sizeof somewhere));
  const std::span<std::byte> buffer(somewhere);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)retry_on_efault(empty, buffer, [] { return 0; }); }));
}

TEST_P(Ref, knows_what_can_be_written_without_a_fault) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  const ArenaRef ref = arena.ref();
  fill(arena, 3, 1);
  EXPECT_TRUE(ref.is_writable(page_at(arena, 3)));
  const Snapshot snapshot = arena.snapshot();
  EXPECT_FALSE(ref.is_writable(page_at(arena, 3)));
  EXPECT_FALSE(ref.is_writable(page_at(arena, 3) + page_size() - 1));
  ref.prepare_write(page_at(arena, 3), 1);
  EXPECT_TRUE(ref.is_writable(page_at(arena, 3)));
}

TEST_P(Ref, discards_and_prepares_as_the_arena_does) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  const Snapshot snapshot = arena.snapshot();
  arena.ref().discard(page_at(arena, 2), 2 * page_size());
  EXPECT_TRUE(shows(arena, {1, 1, 0, 0, 1, 1, 1, 1}));
  EXPECT_TRUE(shows(snapshot, Picture(8, 1)));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { arena.ref().discard(&arena, page_size()); }));
}

TEST_P(Ref, sees_the_epoch_advance_with_each_cut) {
  Arena arena = make_arena(4);
  const ArenaRef ref = arena.ref();
  std::uint64_t epoch = ref.epoch();
  const auto advanced = [&] { return std::exchange(epoch, ref.epoch()) < ref.epoch(); };
  fill(arena, 0, 1);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_TRUE(advanced());
  fill(arena, 0, 2);
  const Arena clone = arena.clone();
  EXPECT_TRUE(advanced());
}

TEST_P(Ref, gives_every_caller_the_same_hook) {
  Arena arena = make_arena(4);
  int made = 0;
  const auto make = [&made]() -> std::shared_ptr<CutHook> {
    ++made;
    return std::make_shared<CountingHook>();
  };
  const auto first = arena.ref().cut_hook(make);
  const Arena moved = std::move(arena);
  EXPECT_EQ(moved.ref().cut_hook(make), first);
  EXPECT_EQ(made, 1);
}

TEST_P(Ref, has_its_hook_called_around_each_cut) {
  Arena arena = make_arena(4);
  const auto hook = std::make_shared<CountingHook>();
  (void)arena.ref().cut_hook([&] { return hook; });
  fill(arena, 0, 1);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_EQ(hook->before, 1);
  EXPECT_EQ(hook->after, 1);
  const Arena clone = arena.clone();
  EXPECT_EQ(hook->before, 2);
  arena.rollback(snapshot);
  EXPECT_EQ(hook->before, 3);
  EXPECT_EQ(hook->after, hook->before);
  const Arena of_snapshot = snapshot.clone();  // no cut: the content was fixed before
  EXPECT_EQ(hook->before, 3);
}

TEST_P(Ref, has_its_hook_released_after_a_cut_that_failed) {
  Arena arena = make_arena(4);
  Arena other = make_arena(4);
  const auto hook = std::make_shared<CountingHook>();
  (void)arena.ref().cut_hook([&] { return hook; });
  const Snapshot foreign = other.snapshot();
  EXPECT_ANY_THROW(arena.rollback(foreign));
  EXPECT_EQ(hook->after, hook->before);
}

TEST_P(Ref, passes_on_what_its_hook_throws_and_leaves_the_arena_as_it_was) {
  Painted painted(make_arena(4));
  painted.paint(0, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  painted.paint(0, 2);
  (void)painted.arena().ref().cut_hook([] { return std::make_shared<RefusingHook>(); });
  EXPECT_TRUE(throws_exactly<std::runtime_error>([&] { (void)painted.arena().snapshot(); }));
  EXPECT_TRUE(throws_exactly<std::runtime_error>([&] { (void)painted.arena().clone(); }));
  EXPECT_TRUE(throws_exactly<std::runtime_error>([&] { painted.arena().rollback(snapshot); }));
  EXPECT_TRUE(painted.is_right());
  EXPECT_EQ(mark_of(snapshot, 0), 1U);
}

TEST_P(Ref, lets_its_hook_go_with_the_arena) {
  std::weak_ptr<CutHook> watched;
  {
    Arena arena = make_arena(4);
    watched = arena.ref().cut_hook([] { return std::make_shared<CountingHook>(); });
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace cow::test

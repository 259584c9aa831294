// Promise: bad input gives a clear exception of the documented type, and everything is as it was before.
#include <limits>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <sys/mman.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/limits.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

std::string in_hex(const void* address) {
  std::stringstream text;
  text << address;
  return text.str();
}

testing::AssertionResult says(const testing::AssertionResult& refused, const std::string& text) {
  const std::string message = refused.message();
  if (message.find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << message << "' does not say '" << text << "'";
}

class BadInput : public BarrierTest {
 protected:
  ArenaOptions options(std::size_t capacity) const {
    ArenaOptions wanted = options_for(GetParam(), 1);
    wanted.capacity = capacity;
    return wanted;
  }
};
COW_FOR_EVERY_BARRIER(BadInput);

TEST_P(BadInput, capacity_zero_is_refused) {
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { const Arena arena(options(0)); }));
}

TEST_P(BadInput, a_reserve_of_more_than_the_machines_memory_is_refused_at_once) {
  ArenaOptions greedy = options(page_size());
  greedy.reserve_history_bytes = std::size_t{1} << 50;
  const auto refused = throws_exactly<std::invalid_argument>([&] { const Arena arena(greedy); });
  EXPECT_TRUE(refused);
  EXPECT_TRUE(says(refused, "(1.0 PiB) for history is more than the machine's memory"));
}

TEST_P(BadInput, capacity_that_overflows_when_rounded_is_refused) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { const Arena arena(options(most)); }));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { const Arena arena(options(most - 100)); }));
}

TEST_P(BadInput, capacity_beyond_any_address_space_is_refused_and_leaves_nothing) {
  std::size_t descriptors = 0, mapped = 0;
  for (int round = 0; round < 20; ++round) {
    if (round == 1) descriptors = descriptor_count(), mapped = mapping_count();
    // Whether that is an argument that cannot be right or memory that the kernel refuses depends on the machine.
    EXPECT_ANY_THROW(const Arena arena(options(std::size_t{1} << 50)));
    EXPECT_ANY_THROW(const Arena arena(options(std::size_t{1} << 62)));
    EXPECT_ANY_THROW(const Arena arena(options(std::size_t{1} << 63)));
  }
  EXPECT_EQ(descriptor_count(), descriptors);
  EXPECT_LE(mapping_count(), mapped + 4);
}

TEST_P(BadInput, capacity_beyond_any_address_space_is_told_with_the_limit_in_large_units) {
  const auto refused = throws_exactly<std::invalid_argument>([&] { const Arena arena(options(std::size_t{1} << 54)); });
  EXPECT_TRUE(refused);
  EXPECT_TRUE(says(refused, "18014398509481984 bytes (16.0 PiB)"));
  EXPECT_TRUE(says(refused, page_size() == 4096 ? "(128 TiB)" : "TiB)"));
}

TEST_P(BadInput, capacity_that_the_kernel_refuses_is_named) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers lay the address space out differently";
  // How many bits of addresses there are depends on the machine.
  const LoweredLimit addresses(RLIMIT_AS, std::uint64_t{1} << 40);
  const auto refused = throws_exactly<std::system_error>([&] { const Arena arena(options(std::size_t{1} << 41)); });
  EXPECT_TRUE(refused);
  EXPECT_TRUE(names_a_size(refused.message())) << refused.message();
}

TEST_P(BadInput, address_in_use_is_refused_and_stays_as_it_is) {
  void* const taken = ::mmap(nullptr, 4 * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(taken, MAP_FAILED);
  auto* const word = static_cast<std::uint64_t*>(taken);
  *word = 42;
  ArenaOptions wanted = options(4 * page_size());
  wanted.address = taken;
  const auto refused = throws_exactly<std::system_error>([&] { const Arena arena(wanted); });
  EXPECT_TRUE(refused);
  EXPECT_TRUE(says(refused, in_hex(taken))) << "which address";
  EXPECT_TRUE(says(refused, std::to_string(4 * page_size()) + " bytes")) << "how much";
  wanted.address = static_cast<std::byte*>(taken) - 2 * page_size();  // overlaps its beginning only
  EXPECT_ANY_THROW(const Arena arena(wanted));
  EXPECT_EQ(*word, 42U);
  *word = 43;
  EXPECT_EQ(*word, 43U);
  ::munmap(taken, 4 * page_size());
}

TEST_P(BadInput, address_of_another_arena_is_refused_and_that_one_stays) {
  Painted painted(make_arena(4));
  painted.paint_run(0, 4, 1);
  ArenaOptions wanted = options(4 * page_size());
  wanted.address = painted.arena().data();
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { const Arena arena(wanted); }));
  EXPECT_TRUE(painted.is_right());
  painted.paint(0, 2);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(BadInput, misaligned_address_is_refused) {
  ArenaOptions wanted = options(4 * page_size());
  wanted.address = reinterpret_cast<void*>((std::uintptr_t{1} << 44) + 8);
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { const Arena arena(wanted); }));
}

TEST_P(BadInput, snapshot_of_another_arena_is_refused) {
  Painted mine(make_arena(8));
  mine.paint_run(0, 8, 1);
  const Snapshot own = mine.arena().snapshot();
  mine.paint_run(0, 4, 2);
  Arena other = make_arena(8);
  fill_run(other, 0, 8, 3);
  const Snapshot foreign = other.snapshot();
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { mine.arena().rollback(foreign); }));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)mine.arena().changed_since(foreign); }));
  EXPECT_TRUE(mine.is_right());
  EXPECT_TRUE(shows(own, Picture(8, 1)));
}

TEST_P(BadInput, snapshots_of_relatives_other_than_the_base_are_refused) {
  Arena original = make_arena(8);
  fill_run(original, 0, 8, 1);
  const Snapshot older = original.snapshot();
  fill(original, 0, 2);
  const Snapshot base = original.snapshot();
  Painted clone(base.clone(), {2, 1, 1, 1, 1, 1, 1, 1});
  clone.paint(1, 3);
  Arena sibling = base.clone();
  fill(sibling, 5, 5);
  const Snapshot of_sibling = sibling.snapshot();
  fill(original, 7, 7);
  const Snapshot later = original.snapshot();
  const Snapshot of_clone = clone.arena().snapshot();
  for (const Snapshot& foreign : {older, later, of_sibling})
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { clone.arena().rollback(foreign); }));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { original.rollback(of_clone); }));
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(shows(original, {2, 1, 1, 1, 1, 1, 1, 7}));
}

// A new arena may be given the addresses and the memory of one that is gone: its snapshots still are foreign.
TEST_P(BadInput, snapshots_of_an_arena_that_is_gone_are_refused_by_its_successor) {
  Snapshot old;
  ArenaOptions wanted = options(8 * page_size());
  {
    Arena gone(wanted);
    fill(gone, 0, 1);
    old = gone.snapshot();
    wanted.address = gone.data();
  }
  Arena successor(wanted);
  fill(successor, 0, 2);
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { successor.rollback(old); }));
  EXPECT_EQ(mark_of(successor, 0), 2U);
  EXPECT_EQ(mark_of(old, 0), 1U);
}

TEST_P(BadInput, ranges_outside_of_the_arena_are_refused) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  Arena& arena = painted.arena();
  std::byte* const begin = arena.data();
  std::byte* const end = begin + arena.capacity();
  int elsewhere = 0;
  const std::pair<void*, std::size_t> outside[] = {
      {begin - 1, 1}, {begin - 1, 2}, {end, 1}, {end - 1, 2}, {begin, arena.capacity() + 1}, {&elsewhere, 1},
      {nullptr, 1}, {begin + page_size(), std::numeric_limits<std::size_t>::max()}};
  for (const auto& [p, n] : outside) {
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&, p = p, n = n] { arena.prepare_write(p, n); }));
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&, p = p, n = n] { arena.discard(p, n); }));
  }
  EXPECT_TRUE(painted.is_right());
  EXPECT_EQ(snapshot, arena.snapshot());
}

TEST_P(BadInput, a_write_of_nothing_readable_is_refused_where_that_is_sure) {
  Painted painted(make_arena(2));
  painted.paint_run(0, 2, 1);
  const std::uint64_t word = 7;
  std::byte* const begin = painted.arena().data();
  const auto refused = throws_exactly<std::invalid_argument>([&] { painted.arena().write(begin, nullptr, 8); });
  EXPECT_TRUE(says(refused, "what to write is nullptr"));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>(
      [&] { painted.arena().write({{begin, &word, sizeof word}, {begin + 8, nullptr, 8}}); }));
  EXPECT_NO_THROW(painted.arena().write(begin, nullptr, 0));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(BadInput, reads_outside_of_the_snapshot_are_refused_and_copy_nothing) {
  Arena arena = make_arena(2);
  fill_run(arena, 0, 2, 1);
  const Snapshot snapshot = arena.snapshot();
  Bytes out(page_size(), std::byte{0xAB});
  const auto untouched = out;
  for (const std::size_t offset : {page_size() + 1, 2 * page_size(), std::numeric_limits<std::size_t>::max(),
                                   std::numeric_limits<std::size_t>::max() - page_size() + 2})
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { snapshot.read(offset, out); })) << offset;
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { snapshot.read(2 * page_size() + 1, {}); }));
  EXPECT_EQ(out, untouched);
}

TEST_P(BadInput, a_moved_from_arena_says_so) {
  Arena arena = make_arena(4);
  fill(arena, 0, 1);
  const Snapshot snapshot = arena.snapshot();
  Arena target = std::move(arena);
  // NOLINTBEGIN(bugprone-use-after-move): using it is the test
  EXPECT_TRUE(says(throws_exactly<std::logic_error>([&] { (void)arena.snapshot(); }), "snapshot: the Arena was moved"));
  EXPECT_TRUE(says(throws_exactly<std::logic_error>([&] { (void)arena.clone(); }), "clone: the Arena was moved"));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.rollback(snapshot); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.prepare_write(target.data(), 1); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { arena.discard(target.data(), page_size()); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)arena.changed_since(snapshot); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)arena.stats(); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)arena.ref(); }));
  EXPECT_EQ(arena.data(), nullptr);
  EXPECT_EQ(arena.capacity(), 0U);
  EXPECT_FALSE(arena.contains(target.data()));
  EXPECT_NO_THROW((void)arena.barrier());
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_TRUE(shows(target, {1, 0, 0, 0}));
}

TEST_P(BadInput, an_empty_snapshot_says_so) {
  Painted painted(make_arena(4));
  painted.paint(0, 1);
  const Snapshot empty;
  Bytes out(1);
  EXPECT_TRUE(says(throws_exactly<std::logic_error>([&] { (void)empty.clone(); }), "clone: the Snapshot is empty"));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)empty.view(); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { empty.read(0, out); }));
  const auto no_target = throws_exactly<std::logic_error>([&] { painted.arena().rollback(empty); });
  EXPECT_TRUE(says(no_target, "rollback: the Snapshot is empty"));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)painted.arena().changed_since(empty); }));
  EXPECT_TRUE(painted.is_right());
}

TEST_P(BadInput, an_arena_that_was_moved_from_can_be_assigned_to) {
  Arena arena = make_arena(4);
  Arena target = std::move(arena);
  arena = make_arena(2);
  fill(arena, 1, 1);
  EXPECT_TRUE(shows(arena, {0, 1}));
}

}  // namespace
}  // namespace cow::test

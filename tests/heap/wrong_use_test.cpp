// Promise: mistakes of the program and damage to the heap are noticed, named, and made no worse.
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "heap/layout.hpp"
#include "heap_support.hpp"

namespace cow::test {
namespace {

using detail::Geometry;
using detail::Header;
using detail::Unit;

TEST(WrongFree, of_pointers_that_are_no_live_block_is_refused_and_counted) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  auto* const small = static_cast<std::byte*>(heap.allocate(100));
  auto* const medium = static_cast<std::byte*>(heap.allocate(5'000));
  auto* const large = static_cast<std::byte*>(heap.allocate(mib));
  int foreign = 0;
  const std::vector<void*> wrong{
      &foreign,   arena.data(),           small + 1,    small + 112,      medium + 4096,          large + 4096,
      large + 16, arena.data() + 8 * mib, small - 4096, arena.data() - 1, arena.data() + 16 * mib};
  for (void* const pointer : wrong) {
    heap.deallocate(pointer);
    EXPECT_EQ(heap.usable_size(pointer), 0u);
  }
  EXPECT_EQ(heap.stats().refused_frees, wrong.size());
  EXPECT_EQ(heap.stats().live_blocks, 3u);
  const HeapReport report = heap.check();
  EXPECT_TRUE(report.ok()) << "the heap is sound: " << text_of(report);
  EXPECT_EQ(report.refused_frees, wrong.size());
  EXPECT_EQ(report.last_refused, wrong.back());
}

TEST(WrongFree, twice_is_refused) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  std::vector<void*> blocks;
  for (const std::size_t bytes : {16u, 100u, 3'000u, 8'000u, 10'000u, 500'000u}) blocks.push_back(heap.allocate(bytes));
  void* const alive = heap.allocate(100);
  for (void* const block : blocks) {
    heap.deallocate(block);
    heap.deallocate(block);
  }
  EXPECT_EQ(heap.stats().refused_frees, blocks.size());
  EXPECT_EQ(heap.stats().live_blocks, 1u);
  heap.deallocate(alive);
}

TEST(Attach, refuses_arenas_with_other_content) {
  Arena written_in_front = arena_of(mib);
  written_in_front.data()[100] = std::byte{1};
  EXPECT_THROW(Heap{written_in_front}, std::invalid_argument);
  Arena written_far_behind = arena_of(mib);
  written_far_behind.data()[mib - 1] = std::byte{1};
  EXPECT_THROW(Heap{written_far_behind}, std::invalid_argument);
  EXPECT_EQ(written_far_behind.data()[mib - 1], std::byte{1});
  Arena cloned = written_far_behind.clone();
  EXPECT_THROW(Heap{cloned}, std::invalid_argument);
}

TEST(Attach, refuses_arenas_without_room_for_a_block) {
  Arena arena = arena_of(1);
  EXPECT_THROW(Heap{arena}, std::invalid_argument);
}

TEST(Attach, makes_do_with_little_room) {
  Arena arena = arena_of(16 * page_size());
  Heap heap(arena);
  EXPECT_NE(heap.allocate(100), nullptr);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Attach, twice_is_the_same_heap) {
  Arena arena = arena_of(mib);
  Heap first(arena);
  void* const block = first.allocate(10);
  Heap second(arena);
  EXPECT_EQ(first, second);
  second.deallocate(block);
  EXPECT_EQ(first.stats().live_blocks, 0u);
  Arena cloned = arena.clone();
  EXPECT_NE(first, Heap(cloned));
}

TEST(Heap, says_so_when_it_was_rolled_back_to_before_it_was_made) {
  Arena arena = arena_of(mib);
  const Snapshot empty = arena.snapshot();
  Heap heap(arena);
  void* const block = heap.allocate(100);
  arena.rollback(empty);
  EXPECT_THROW((void)heap.allocate(100), std::logic_error);
  EXPECT_THROW((void)heap.allocate(mib / 2), std::logic_error);
  EXPECT_EQ(heap.try_allocate(100), nullptr);
  EXPECT_THROW(heap.set_root(block), std::logic_error);
  EXPECT_THROW((void)heap.stats(), std::logic_error);
  EXPECT_THROW(heap.trim(), std::logic_error);
  EXPECT_FALSE(heap.check().ok());
  heap.deallocate(block);

  Heap again(arena);
  EXPECT_NE(again.allocate(100), nullptr);
  EXPECT_EQ(again.stats().live_blocks, 1u);
}

/// A heap with all that check() looks at, and damage to one part of it at a time.
class Damage : public testing::Test {
 protected:
  Damage() {
    std::vector<void*> blocks;
    for (int i = 0; i < 600; ++i) blocks.push_back(heap_.allocate(100 + static_cast<std::size_t>(i) % 3 * 850));
    for (std::size_t i = 0; i < blocks.size(); i += 2) heap_.deallocate(blocks[i]);
    std::vector<void*> large;
    for (int i = 0; i < 8; ++i) large.push_back(heap_.allocate(64 * 1024));
    for (std::size_t i = 0; i < large.size(); i += 2) heap_.deallocate(large[i]);
    heap_.trim();
    for (std::size_t i = 1; i < large.size() - 2; i += 2) heap_.deallocate(large[i]);
    heap_.set_root(large.back());
  }

  Header& header() { return *reinterpret_cast<Header*>(arena_.data()); }
  Unit& unit(std::size_t index) {
    return reinterpret_cast<Unit*>(arena_.data() + Geometry::of(arena_.capacity()).units_offset)[index];
  }
  template <class Condition>
  Unit& unit_that(Condition condition) {
    for (std::size_t at = Geometry::of(arena_.capacity()).first_unit; at < header().runs.frontier; ++at) {
      if (condition(unit(at))) return unit(at);
    }
    throw std::logic_error("the test's heap has no such unit");
  }
  Unit& partial_slab() {
    return unit_that([](const Unit& u) { return u.tag().kind() == detail::UnitKind::slab && u.free_blocks > 1; });
  }
  Unit& unit_of(detail::UnitKind kind) {
    return unit_that([kind](const Unit& u) { return u.tag().kind() == kind; });
  }

  void expect_named(const std::string& name, const std::function<void()>& damage) {
    ASSERT_TRUE(is_sound(heap_));
    const Snapshot sound = arena_.snapshot();
    damage();
    const HeapReport report = heap_.check();
    EXPECT_NE(text_of(report).find(name), std::string::npos) << "expected: " << name << "\nfound: " << text_of(report);
    arena_.rollback(sound);
    EXPECT_TRUE(is_sound(heap_));
  }

  Arena arena_ = arena_of(16 * mib);
  Heap heap_{arena_};
};

TEST_F(Damage, to_the_header_is_named) {
  expect_named("magic", [&] { header().magic ^= 1; });
  expect_named("version", [&] { header().version = 99; });
  expect_named("capacity", [&] { header().capacity += 4096; });
  expect_named("frontier", [&] { header().runs.frontier = std::uint64_t{1} << 40; });
  expect_named("the root", [&] { header().root = arena_.capacity() - 4096; });
  expect_named("large blocks", [&] { ++header().runs.large_units; });
  expect_named("units in free runs", [&] { ++header().runs.dirty_units; });
  expect_named("units in free runs", [&] { ++header().runs.clean_units; });
}

TEST_F(Damage, to_a_spans_books_is_named) {
  expect_named("free blocks and marks", [&] { partial_slab().free_bits[0] ^= 2; });
  expect_named("free blocks and marks", [&] { ++partial_slab().free_blocks; });
  expect_named("marks block", [&] { partial_slab().free_bits[3] |= std::uint64_t{1} << 63; });
  expect_named("has the tag", [&] { unit_of(detail::UnitKind::slab_rest).set_tag(detail::UnitTag()); });
  expect_named("does not exist", [&] { partial_slab().set_tag(detail::UnitTag(detail::UnitKind::slab, 200, 0)); });
  expect_named("leads out", [&] { partial_slab().set_tag(detail::UnitTag(std::uint32_t{77})); });
}

TEST_F(Damage, to_lists_is_named_without_following_it) {
  const auto lists_name = std::string("the lists of spans");
  expect_named(lists_name, [&] { std::memset(static_cast<void*>(&partial_slab().link), 0x5a, sizeof(Unit::link)); });
  expect_named(lists_name, [&] { std::memset(static_cast<void*>(&partial_slab().link), 0, sizeof(Unit::link)); });
  expect_named("list of dirty runs", [&] {
    std::memset(static_cast<void*>(&unit_of(detail::UnitKind::free_dirty).link), 0x5a, sizeof(Unit::link));
  });
}

TEST_F(Damage, to_free_runs_is_named) {
  const auto break_tree = [](Unit& run) { std::memset(static_cast<void*>(&run.by_size), 0x5a, sizeof run.by_size); };
  expect_named("tree of clean runs", [&] { break_tree(unit_of(detail::UnitKind::free_clean)); });
  expect_named("tree of dirty runs", [&] { break_tree(unit_of(detail::UnitKind::free_dirty)); });
  expect_named("ends in one that says", [&] { ++unit_of(detail::UnitKind::free_tail).length; });
  expect_named("leads out", [&] { unit_of(detail::UnitKind::large).length = 0; });
  expect_named("leads out", [&] { unit_of(detail::UnitKind::large).length = std::uint64_t{1} << 50; });
}

TEST_F(Damage, to_the_sums_of_a_shard_is_named) {
  const Geometry geometry = Geometry::of(arena_.capacity());
  auto* const shards = reinterpret_cast<detail::Shard*>(arena_.data() + geometry.shards_offset);
  unsigned used = 0;
  while (!shards[used].formatted) ++used;
  expect_named("their shard says", [&] { ++shards[used].classes[detail::size_class_of(100)].free_blocks; });
  expect_named("in empty spans", [&] { ++shards[used].empty_units; });
  expect_named("never used", [&] { shards[used].formatted = 0; });
}

TEST_F(Damage, in_many_places_is_summed_up) {
  expect_named("more", [&] {
    const Geometry geometry = Geometry::of(arena_.capacity());
    for (std::size_t at = geometry.first_unit; at < header().runs.frontier; ++at) {
      if (unit(at).tag().kind() == detail::UnitKind::slab) unit(at).free_blocks ^= 1;
    }
  });
}

}  // namespace
}  // namespace cow::test

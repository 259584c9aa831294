// Promise: containers with cow::Allocator behave as the standard's do, in the arena, after rollbacks, and in clones and
// views at other addresses. Random operations on each kind against its std counterpart; replay: COW_SEED.
#include <string>
#include <utility>
#include <vector>

#include <boost/container/scoped_allocator.hpp>
#include <gtest/gtest.h>

#include "container_kinds.hpp"
#include "heap_support.hpp"

namespace cow::test {
namespace {

template <class Kind>
class Containers : public testing::Test {};

using Entry = std::pair<const int, String>;
using FlatEntry = std::pair<int, String>;
using Less = std::less<int>;
using Kinds =
    testing::Types<IntMap<bc::map<int, String, Less, Allocator<Entry>>>,
                   IntMap<bc::flat_map<int, String, Less, Allocator<FlatEntry>>>,
                   IntMap<boost::unordered_map<int, String, boost::hash<int>, std::equal_to<int>, Allocator<Entry>>>,
                   IntSet<bc::multiset<int, Less, Allocator<int>>>,
                   IntSet<bc::flat_multiset<int, Less, Allocator<int>>>,
                   Numbers<bc::vector<int, Allocator<int>>, std::vector<int>>,
                   Numbers<bc::deque<int, Allocator<int>>, std::deque<int>>,
                   Numbers<bc::list<int, Allocator<int>>, std::list<int>>,
                   Numbers<std::vector<int, Allocator<int>>, std::vector<int>>,
                   Numbers<std::deque<int, Allocator<int>>, std::deque<int>>, Strings, Text, IntrusiveSet>;
TYPED_TEST_SUITE(Containers, Kinds);

template <class Kind>
struct Place {
  using Container = typename Kind::Container;

  Arena arena;
  typename Kind::Reference reference;

  void change(int steps, Random& random) {
    Heap heap(arena);
    Container& container = *heap.template root<Container>();
    for (int i = 0; i < steps; ++i) Kind::change(container, reference, heap, random);
  }
  testing::AssertionResult is_right() {
    const Heap heap(arena);
    if (!Kind::equal(*heap.template root<Container>(), reference)) return testing::AssertionFailure() << "it differs";
    return is_sound(heap);
  }
};

TYPED_TEST(Containers, behave_as_their_std_counterparts_in_arenas_clones_and_views) {
  using Container = typename TypeParam::Container;
  const std::uint64_t seed = seed_or(2'024);
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  const int steps = under_sanitizer ? 200 : 1'000;

  Place<TypeParam> original{arena_of(32 * mib), {}};
  {
    Heap heap(original.arena);
    heap.set_root(heap.create<Container>(Allocator<int>(heap)));
  }
  for (int round = 0; round < 5; ++round) {
    original.change(steps, random);
    ASSERT_TRUE(original.is_right());

    const Snapshot snapshot = original.arena.snapshot();
    const auto at_snapshot = original.reference;
    Place<TypeParam> clone{snapshot.clone(), at_snapshot};
    ASSERT_NE(clone.arena.data(), original.arena.data());
    clone.change(steps, random);
    original.change(steps, random);
    EXPECT_TRUE(clone.is_right());
    EXPECT_TRUE(original.is_right());
    const View view = snapshot.view();
    EXPECT_TRUE(TypeParam::equal(*Heap::root<Container>(view), at_snapshot));

    Place<TypeParam> second{clone.arena.clone(), clone.reference};
    second.change(steps, random);
    EXPECT_TRUE(second.is_right());
    EXPECT_TRUE(clone.is_right());

    if (round % 2 == 0) {
      original.arena.rollback(snapshot);
      original.reference = at_snapshot;
      EXPECT_TRUE(original.is_right());
    }
  }
}

TEST(Allocator, of_a_container_in_an_arena_without_an_attached_heap_says_so) {
  using Vector = bc::vector<int, Allocator<int>>;
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Vector& vector = *heap.create<Vector>(Allocator<int>(heap));
  vector.push_back(1);
  Arena clone = arena.clone();
  auto& cloned = *reinterpret_cast<Vector*>(clone.data() + (reinterpret_cast<std::byte*>(&vector) - arena.data()));
  EXPECT_EQ(cloned[0], 1);
  EXPECT_THROW(cloned.resize(1'000), std::logic_error);
  const Heap attached(clone);
  cloned.resize(1'000);
  EXPECT_TRUE(clone.contains(cloned.data()));
  EXPECT_EQ(vector.size(), 1u);
}

TEST(Allocator, finds_the_heap_of_each_of_many_arenas_that_come_and_go) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  for (int round = 0; round < 50; ++round) {
    std::vector<Arena> arenas;
    for (int i = 0; i < 12; ++i) {
      arenas.push_back(arena.clone());
      Heap cloned(arenas.back());
      (void)cloned.create<int>(1);
    }
    for (Arena& each : arenas) {
      const Heap cloned(each);
      std::vector<int, Allocator<int>> vector(100, 7, Allocator<int>(cloned));
      EXPECT_TRUE(each.contains(&vector[0]));
      EXPECT_EQ(cloned.stats().live_blocks, 2u);
    }
  }
}

TEST(Allocator, refuses_counts_that_overflow) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Allocator<long> allocator(heap);
  EXPECT_THROW((void)allocator.allocate(SIZE_MAX / 4), std::bad_alloc);
  EXPECT_THROW((void)allocator.allocate(mib), std::bad_alloc);
}

TEST(Allocator, equals_those_of_the_same_heap_only) {
  Arena arena = arena_of(mib);
  Heap heap(arena);
  Arena clone = arena.clone();
  Heap cloned(clone);
  EXPECT_EQ(Allocator<int>(heap), Allocator<long>(heap));
  EXPECT_NE(Allocator<int>(heap), Allocator<int>(cloned));
  std::vector<int, Allocator<int>> here(10, 1, heap), there(10, 2, cloned);
  there = here;  // copies the elements, not the heap
  EXPECT_TRUE(clone.contains(&there[0]));
  there = std::move(here);
  EXPECT_TRUE(clone.contains(&there[0]));
}

TEST(NestedContainers, take_the_allocator_from_the_container_they_are_in) {
  using Inner = bc::vector<int, Allocator<int>>;
  using Handing = bc::scoped_allocator_adaptor<Allocator<Inner>>;
  using Outer = bc::vector<Inner, Handing>;
  Arena arena = arena_of(mib);
  Heap heap(arena);
  heap.set_root(heap.create<Outer>(Handing(Allocator<Inner>(heap))));
  heap.root<Outer>()->emplace_back();
  heap.root<Outer>()->back().push_back(1);
  Arena clone = arena.clone();
  const Heap in_clone(clone);
  Outer& outer = *in_clone.root<Outer>();
  outer.emplace_back();
  outer.back().push_back(2);
  EXPECT_TRUE(clone.contains(&outer.back()[0]));
  EXPECT_EQ(outer[0][0], 1);
  EXPECT_EQ(heap.root<Outer>()->size(), 1U);
  EXPECT_TRUE(is_sound(in_clone));
}

}  // namespace
}  // namespace cow::test

// Promise: containers with cow::Allocator behave as the standard's do, in the arena, after rollbacks, and in clones and
// views at other addresses. Random operations on each kind against its std counterpart; replay: COW_SEED.
#include <boost/container/deque.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/container/list.hpp>
#include <boost/container/map.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <boost/unordered_map.hpp>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

namespace bc = boost::container;
namespace bi = boost::intrusive;

using String = bc::basic_string<char, std::char_traits<char>, Allocator<char>>;

std::string random_text(Random& random) {
  std::string text(random.below(60), ' ');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

String in_arena(const std::string& text, const Heap& heap) {
  return String(text.data(), text.size(), Allocator<char>(heap));
}
bool same(const String& a, const std::string& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

/// How one kind of container is changed at random, the same way as its reference, and compared with it.
template <class Map>
struct IntMap {
  using Container = Map;
  using Reference = std::map<int, std::string>;
  static void change(Container& container, Reference& reference, const Heap& heap, Random& random) {
    const int key = static_cast<int>(random.below(400));
    if (random.below(3) == 0) {
      EXPECT_EQ(container.erase(key), reference.erase(key));
      return;
    }
    const std::string text = random_text(random);
    container.erase(key);
    container.emplace(key, in_arena(text, heap));
    reference[key] = text;
  }
  static bool equal(const Container& container, const Reference& reference) {
    if (container.size() != reference.size()) return false;
    for (const auto& [key, text] : reference) {
      const auto found = container.find(key);
      if (found == container.end() || !same(found->second, text)) return false;
    }
    return true;
  }
};

template <class Sequence, class StandardSequence>
struct Numbers {
  using Container = Sequence;
  using Reference = StandardSequence;
  static void change(Container& container, Reference& reference, const Heap&, Random& random) {
    const int value = static_cast<int>(random.below(1'000'000));
    const std::size_t dice = random.below(10);
    if (dice < 5 || reference.empty()) {
      container.push_back(value);
      reference.push_back(value);
    } else if (dice < 7) {
      const auto at = static_cast<std::ptrdiff_t>(random.below(reference.size()));
      container.insert(std::next(container.begin(), at), value);
      reference.insert(std::next(reference.begin(), at), value);
    } else if (dice < 9) {
      const auto at = static_cast<std::ptrdiff_t>(random.below(reference.size()));
      container.erase(std::next(container.begin(), at));
      reference.erase(std::next(reference.begin(), at));
    } else {
      const Container copy(container);
      container = copy;
    }
  }
  static bool equal(const Container& container, const Reference& reference) {
    return container.size() == reference.size() && std::equal(container.begin(), container.end(), reference.begin());
  }
};

struct Strings {
  using Container = bc::vector<String, Allocator<String>>;
  using Reference = std::vector<std::string>;
  static void change(Container& container, Reference& reference, const Heap& heap, Random& random) {
    const std::string text = random_text(random);
    if (reference.size() < 5 || random.below(4) == 0) {
      container.push_back(in_arena(text, heap));
      reference.push_back(text);
      return;
    }
    const std::size_t at = random.below(reference.size());
    if (random.below(4) == 0) {
      container.erase(container.begin() + static_cast<std::ptrdiff_t>(at));
      reference.erase(reference.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      container[at].append(text.data(), text.size());
      reference[at] += text;
    }
  }
  static bool equal(const Container& container, const Reference& reference) {
    if (container.size() != reference.size()) return false;
    for (std::size_t i = 0; i < reference.size(); ++i) {
      if (!same(container[i], reference[i])) return false;
    }
    return true;
  }
};

/// Objects that the program allocates itself, in a hash table of Boost.Intrusive's that only links them.
struct Item {
  using Hook = bi::unordered_set_member_hook<bi::void_pointer<offset_ptr<void>>>;
  explicit Item(int n) : number(n) {}
  int number;
  Hook hook;
  friend bool operator==(const Item& a, const Item& b) { return a.number == b.number; }
  friend std::size_t hash_value(const Item& item) { return static_cast<std::size_t>(item.number) * 0x9e3779b1u; }
};

struct IntrusiveSet {
  using Table = bi::unordered_set<Item, bi::member_hook<Item, Item::Hook, &Item::hook>, bi::power_2_buckets<true>>;
  static constexpr std::size_t bucket_count = 256;

  struct Container {
    explicit Container(const Allocator<int>&) : table(Table::bucket_traits(buckets, bucket_count)) {}
    ~Container() {}  // the arena goes with all items
    Table::bucket_type buckets[bucket_count];
    Table table;
  };
  using Reference = std::unordered_set<int>;

  static void change(Container& container, Reference& reference, Heap& heap, Random& random) {
    const int number = static_cast<int>(random.below(1'000));
    const auto found = container.table.find(Item(number));
    EXPECT_EQ(found != container.table.end(), reference.contains(number));
    if (found != container.table.end()) {
      Item* const item = &*found;
      container.table.erase(found);
      heap.destroy(item);
      reference.erase(number);
    } else {
      container.table.insert(*heap.create<Item>(number));
      reference.insert(number);
    }
  }
  static bool equal(const Container& container, const Reference& reference) {
    if (container.table.size() != reference.size()) return false;
    for (const int number : reference) {
      if (container.table.find(Item(number)) == container.table.end()) return false;
    }
    return true;
  }
};

template <class Kind>
class Containers : public testing::Test {};

using Entry = std::pair<const int, String>;
using FlatEntry = std::pair<int, String>;
using Kinds =
    testing::Types<IntMap<bc::map<int, String, std::less<int>, Allocator<Entry>>>,
                   IntMap<bc::flat_map<int, String, std::less<int>, Allocator<FlatEntry>>>,
                   IntMap<boost::unordered_map<int, String, boost::hash<int>, std::equal_to<int>, Allocator<Entry>>>,
                   Numbers<bc::vector<int, Allocator<int>>, std::vector<int>>,
                   Numbers<bc::deque<int, Allocator<int>>, std::deque<int>>,
                   Numbers<bc::list<int, Allocator<int>>, std::list<int>>,
                   Numbers<std::vector<int, Allocator<int>>, std::vector<int>>,
                   Numbers<std::deque<int, Allocator<int>>, std::deque<int>>, Strings, IntrusiveSet>;
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

}  // namespace
}  // namespace cow::test

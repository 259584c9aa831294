// The kinds of containers that are tested: how each is changed at random, in the same way as its std counterpart, and
// compared with it. Knows nothing of snapshots and clones.
#pragma once

#include <algorithm>
#include <boost/container/deque.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/container/flat_set.hpp>
#include <boost/container/list.hpp>
#include <boost/container/map.hpp>
#include <boost/container/set.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <boost/unordered_map.hpp>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {

namespace bc = boost::container;
namespace bi = boost::intrusive;

using String = bc::basic_string<char, std::char_traits<char>, Allocator<char>>;

inline std::string random_text(Random& random) {
  std::string text(random.below(60), ' ');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

inline String in_arena(const std::string& text, const Heap& heap) {
  return String(text.data(), text.size(), Allocator<char>(heap));
}
inline bool same(const String& a, const std::string& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

/// How one kind of container is changed at random, the same way as its reference, and compared with it.
template <class Map, class StandardMap = std::map<int, std::string>>
struct IntMap {
  using Container = Map;
  using Reference = StandardMap;
  static constexpr bool is_ordered = requires(Map& map) { map.lower_bound(0); };

  static void change(Container& container, Reference& reference, const Heap& heap, Random& random) {
    const int key = static_cast<int>(random.below(400));
    const std::size_t dice = random.below(100);
    if (dice < 33) {
      EXPECT_EQ(container.erase(key), reference.erase(key));
    } else if (dice < 97) {
      put(container, reference, key, random_text(random), heap);
    } else if (dice < 98) {
      erase_range(container, reference, key, random);
    } else if (dice < 99) {
      Container other(container);  // every node anew
      container.clear();
      container.swap(other);
    } else {
      Container moved(std::move(container));
      container = std::move(moved);
    }
  }
  static bool equal(const Container& container, const Reference& reference) {
    if (container.size() != reference.size()) return false;
    for (const auto& [key, text] : reference) {
      const auto found = container.find(key);
      if (found == container.end() || !same(found->second, text)) return false;
    }
    if constexpr (is_ordered) {
      return std::equal(container.begin(), container.end(), reference.begin(),
                        [](const auto& a, const auto& b) { return a.first == b.first; });
    }
    return true;
  }

 private:
  static void put(Container& container, Reference& reference, int key, const std::string& text, const Heap& heap) {
    const auto [place, is_new] = container.emplace(key, in_arena(text, heap));
    EXPECT_EQ(is_new, reference.emplace(key, text).second);
    if (is_new) return;
    place->second.append(text.data(), text.size() / 8);
    reference[key].append(text, 0, text.size() / 8);
  }
  static void erase_range(Container& container, Reference& reference, int key, Random& random) {
    if constexpr (is_ordered) {
      const int end = key + static_cast<int>(random.below(40));
      container.erase(container.lower_bound(key), container.upper_bound(end));
      reference.erase(reference.lower_bound(key), reference.upper_bound(end));
    }
  }
};

template <class Set>
struct IntSet {
  using Container = Set;
  using Reference = std::multiset<int>;
  static void change(Container& container, Reference& reference, const Heap&, Random& random) {
    const int key = static_cast<int>(random.below(200));
    if (random.below(4) == 0) {
      EXPECT_EQ(container.erase(key), reference.erase(key));
    } else if (reference.size() < 1'000) {
      container.insert(key);
      reference.insert(key);
    }
    EXPECT_EQ(container.count(key), reference.count(key));
  }
  static bool equal(const Container& container, const Reference& reference) {
    return std::equal(container.begin(), container.end(), reference.begin(), reference.end());
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
      change_much(container, reference, random);
    }
  }
  static bool equal(const Container& container, const Reference& reference) {
    return container.size() == reference.size() && std::equal(container.begin(), container.end(), reference.begin());
  }

 private:
  static void change_much(Container& container, Reference& reference, Random& random) {
    switch (random.below(5)) {
      case 0: {
        const Container copy(container);
        container = copy;
        break;
      }
      case 1: {
        Container moved(std::move(container));
        container = std::move(moved);
        break;
      }
      case 2: {
        const std::size_t size = random.below(2 * reference.size() + 1);
        container.resize(size);
        reference.resize(size);
        break;
      }
      case 3: {
        const std::size_t from = random.below(reference.size()), count = random.below(reference.size() - from + 1);
        const auto begin = static_cast<std::ptrdiff_t>(from), end = static_cast<std::ptrdiff_t>(from + count);
        container.erase(std::next(container.begin(), begin), std::next(container.begin(), end));
        reference.erase(std::next(reference.begin(), begin), std::next(reference.begin(), end));
        break;
      }
      default: {
        const std::vector<int> more(random.below(40), 7);
        const auto at = static_cast<std::ptrdiff_t>(random.below(reference.size() + 1));
        container.insert(std::next(container.begin(), at), more.begin(), more.end());
        reference.insert(std::next(reference.begin(), at), more.begin(), more.end());
        if constexpr (requires { container.shrink_to_fit(); }) container.shrink_to_fit();
      }
    }
  }
};

/// A string on its own, through all that a string can do to itself; short ones lie inside the object.
struct Text {
  using Container = String;
  using Reference = std::string;
  static void change(Container& container, Reference& reference, const Heap& heap, Random& random) {
    const std::string text = random_text(random);
    const std::size_t at = random.below(reference.size() + 1), count = random.below(80);
    switch (random.below(reference.size() > 5'000 ? 3 : 8)) {
      case 0:
        container.erase(at, count);
        reference.erase(at, count);
        break;
      case 1:
        container.resize(at);
        container.shrink_to_fit();
        reference.resize(at);
        break;
      case 2:
        container = container.substr(at / 2, 10 * count);
        reference = reference.substr(at / 2, 10 * count);
        break;
      case 3:
        container.insert(at, text.data(), text.size());
        reference.insert(at, text);
        break;
      case 4:
        container.replace(at, count, text.data(), text.size());
        reference.replace(at, count, text);
        break;
      case 5:
        container += in_arena(text, heap);
        reference += text;
        break;
      case 6:
        container.push_back('!');
        reference.push_back('!');
        break;
      default: {
        Container other(container);
        container.swap(other);
        container.append(other.data(), other.size() / 8);
        reference.append(reference, 0, reference.size() / 8);
      }
    }
    const std::string word = text + 'z';  // an empty one Boost never finds in an empty string, where std does
    EXPECT_EQ(container.find(word.c_str()), reference.find(word));
    EXPECT_EQ(container.compare(text.c_str()) < 0, reference.compare(text) < 0);
  }
  static bool equal(const Container& container, const Reference& reference) {
    return same(container, reference) && container.c_str()[reference.size()] == '\0';
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

}  // namespace cow::test

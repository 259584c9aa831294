// Map competitor: this library, for a program that tells it what it does: updates are handed over in one batch, and the
// old is read node by node out of the snapshot. A red-black tree (Boost.Intrusive's) with plain pointers, in a
// cow::Heap.
#pragma once

#if __has_include("cow/heap.hpp")

#include <boost/intrusive/rbtree_algorithms.hpp>
#include <vector>

#include "competitors/cow_arena.hpp"
#include "competitors/ordered_map.hpp"
#include "cow/heap.hpp"

namespace bench {

struct MapNode {
  MapNode *parent, *left, *right;
  bool red;
  Key key;
  std::uint64_t value;
};

/// What Boost.Intrusive's tree algorithms ask of a node.
struct MapNodeTraits {
  using node = MapNode;
  using node_ptr = MapNode*;
  using const_node_ptr = const MapNode*;
  using color = bool;

  static node_ptr get_parent(const_node_ptr n) { return n->parent; }
  static void set_parent(node_ptr n, node_ptr parent) { n->parent = parent; }
  static node_ptr get_left(const_node_ptr n) { return n->left; }
  static void set_left(node_ptr n, node_ptr left) { n->left = left; }
  static node_ptr get_right(const_node_ptr n) { return n->right; }
  static void set_right(node_ptr n, node_ptr right) { n->right = right; }
  static color get_color(const_node_ptr n) { return n->red; }
  static void set_color(node_ptr n, color c) { n->red = c; }
  static color black() { return false; }
  static color red() { return true; }
};

class MapCowCalls {
 public:
  static constexpr std::string_view label = "cow heap, by calls";
  static constexpr bool drop_counts = true;

  explicit MapCowCalls(std::span<const Key> keys)
      : arena_(make_arena(std::size_t{1} << 30, cow::Barrier::mprotect)),
        heap_(arena_),
        header_(heap_.create<MapNode>()) {
    Tree::init_header(header_);
    for (const Key key : keys) {
      MapNode* const node = heap_.create<MapNode>(MapNode{{}, {}, {}, {}, key, key});
      Tree::insert_equal_lower_bound(header_, node, [](const MapNode* a, const MapNode* b) { return a->key < b->key; });
    }
  }

  void drop() { snapshot_ = {}; }
  void snapshot() { snapshot_ = arena_.snapshot(); }
  void update(std::span<const Update> updates) {
    batch_.clear();
    for (const Update& update : updates) {
      batch_.push_back({&find(update.key)->value, &update.value, sizeof update.value});
    }
    arena_.write(batch_);
  }
  Reading read_old(std::span<const Key> keys) const {
    Stopwatch watch;
    Reading reading;
    for (const Key key : keys) reading.sum += old_value(key);
    reading.ns = watch.lap_ns();
    return reading;
  }
  std::uint64_t read_new(std::span<const Key> keys) const {
    std::uint64_t sum = 0;
    for (const Key key : keys) sum += find(key)->value;
    return sum;
  }
  std::string note() const { return barrier_note(arena_); }

 private:
  using Tree = boost::intrusive::rbtree_algorithms<MapNodeTraits>;

  MapNode* find(Key key) const {
    return Tree::lower_bound(header_, key, [](const MapNode* node, Key wanted) { return node->key < wanted; });
  }

  std::uint64_t old_value(Key key) const {
    const MapNode* at = snapshot_.read(header_).parent;  // the root, as it was
    for (;;) {
      const MapNode node = snapshot_.read(at);
      if (node.key == key) return node.value;
      at = key < node.key ? node.left : node.right;
    }
  }

  cow::Arena arena_;
  cow::Heap heap_;
  MapNode* header_;
  cow::Snapshot snapshot_;
  std::vector<cow::Write> batch_;
};
static_assert(OrderedMap<MapCowCalls>);

}  // namespace bench

#endif

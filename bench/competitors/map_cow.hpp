// Map competitor: this library; Boost's ordered map in a cow::Heap. The old is read through a view, where the same
// map stands at another address.
#pragma once

#if __has_include("cow/allocator.hpp")
#define COW_BENCH_WITH_HEAP 1

#include <boost/container/map.hpp>
#include <functional>
#include <utility>

#include "competitors/cow_arena.hpp"
#include "competitors/ordered_map.hpp"
#include "cow/allocator.hpp"
#include "cow/heap.hpp"

namespace bench {

template <cow::Barrier kind>
class MapCow {
 public:
  static constexpr std::string_view label =
      Labels{"cow heap, mprotect", "cow heap, userfaultfd", "cow heap, kernel", "cow heap, automatic"}.of(kind);
  static constexpr bool drop_counts = true;

  explicit MapCow(std::span<const Key> keys)
      : arena_(make_arena(std::size_t{1} << 30, kind)), heap_(arena_), map_(heap_.create<Map>(Allocator(heap_))) {
    for (const Key key : keys) map_->emplace(key, key);
    heap_.set_root(map_);
  }

  void drop() { snapshot_ = {}; }
  void snapshot() { snapshot_ = arena_.snapshot(); }
  void update(std::span<const Update> updates) {
    for (const Update& update : updates) map_->find(update.key)->second = update.value;
  }
  /// Opening and closing the view counts as reading.
  Reading read_old(std::span<const Key> keys) const {
    Stopwatch watch;
    Reading reading;
    {
      const cow::View view = snapshot_.view();
      reading = timed_sum(*cow::Heap::root<Map>(view), keys);
    }
    reading.ns = watch.lap_ns();
    return reading;
  }
  std::uint64_t read_new(std::span<const Key> keys) const { return timed_sum(*map_, keys).sum; }
  std::string note() const { return barrier_note(arena_); }

 private:
  using Allocator = cow::Allocator<std::pair<const Key, std::uint64_t>>;
  using Map = boost::container::map<Key, std::uint64_t, std::less<Key>, Allocator>;

  cow::Arena arena_;
  cow::Heap heap_;
  Map* map_;
  cow::Snapshot snapshot_;
};
static_assert(OrderedMap<MapCow<cow::Barrier::mprotect>>);

}  // namespace bench

#endif

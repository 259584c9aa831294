// Map competitor: std::map, copied whole at each snapshot.
#pragma once

#include <map>
#include <optional>

#include "competitors/ordered_map.hpp"

namespace bench {

class MapDeepCopy {
 public:
  static constexpr std::string_view label = "std::map, deep copy";
  static constexpr bool drop_counts = true;

  explicit MapDeepCopy(std::span<const Key> keys) {
    for (const Key key : keys) map_.emplace(key, key);
  }

  void drop() { copy_.reset(); }
  void snapshot() { copy_.emplace(map_); }
  void update(std::span<const Update> updates) {
    for (const Update& update : updates) map_.find(update.key)->second = update.value;
  }
  Reading read_old(std::span<const Key> keys) const { return timed_sum(*copy_, keys); }
  std::uint64_t read_new(std::span<const Key> keys) const { return timed_sum(map_, keys).sum; }

 private:
  std::map<Key, std::uint64_t> map_;
  std::optional<std::map<Key, std::uint64_t>> copy_;
};
static_assert(OrderedMap<MapDeepCopy>);

}  // namespace bench

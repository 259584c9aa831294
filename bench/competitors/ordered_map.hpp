// The concept that a competitor with a whole ordered map meets. Measures nothing.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

#include "measure.hpp"

namespace bench {

using Key = std::uint64_t;

struct Update {
  Key key;
  std::uint64_t value;
};

/// What reading gave: the sum of the values read, and the time it took.
struct Reading {
  std::uint64_t sum = 0;
  double ns = 0;
};

/// An ordered map of 64-bit keys and values. Constructed from keys, each with itself as value.
template <class M>
concept OrderedMap = std::constructible_from<M, std::span<const Key>> &&
                     requires(M m, std::span<const Update> updates, std::span<const Key> keys) {
                       { M::label } -> std::convertible_to<std::string_view>;
                       { M::drop_counts } -> std::convertible_to<bool>;
                       /// At most one snapshot is alive at a time.
                       m.drop();
                       m.snapshot();
                       m.update(updates);
                       /// The keys' values in the snapshot.
                       { m.read_old(keys) } -> std::same_as<Reading>;
                       /// The keys' values now.
                       { m.read_new(keys) } -> std::same_as<std::uint64_t>;
                     };

/// The reading of any container with find(), timed.
template <class Map>
Reading timed_sum(const Map& map, std::span<const Key> keys) {
  Stopwatch watch;
  Reading reading;
  for (const Key key : keys) reading.sum += map.find(key)->second;
  reading.ns = watch.lap_ns();
  return reading;
}

}  // namespace bench

// Values at offsets of an arena.
#pragma once

#include <cstddef>
#include <cstring>

#include "cow/cow.hpp"

namespace cow::test {

template <class T>
void put(const Arena& arena, std::size_t offset, T value) {
  std::memcpy(arena.data() + offset, &value, sizeof value);
}
template <class T>
T get(const Arena& arena, std::size_t offset) {
  T value;
  std::memcpy(&value, arena.data() + offset, sizeof value);
  return value;
}

}  // namespace cow::test

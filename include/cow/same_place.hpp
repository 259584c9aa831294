// What the members at() of cow::Arena and cow::View share: finding a place of one mapping in another.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "cow/export.hpp"

namespace cow::detail {

/// An Arena, an ArenaRef or a View.
template <class M>
concept Mapping = requires(const M& mapping) {
  { mapping.data() } -> std::convertible_to<const std::byte*>;
};

struct MappedRange {
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

template <Mapping M>
MappedRange range_of(const M& mapping) noexcept {
  if constexpr (requires { mapping.capacity(); }) {
    return {mapping.data(), mapping.capacity()};
  } else {
    return {mapping.data(), mapping.size()};
  }
}

/// How far `bytes` bytes at `pointer` are from the start of `original`; they are inside of it and of `target`, which is
/// of the same family. Else std::out_of_range says what to do; std::logic_error for a mapping that is empty.
COW_API std::size_t offset_of_place(MappedRange original, MappedRange target, const void* pointer, std::size_t bytes);

template <class T>
constexpr std::size_t bytes_of() noexcept {
  if constexpr (std::is_void_v<T>) {
    return 1;
  } else {
    return sizeof(T);
  }
}

/// Null for null, since that is no place.
template <Mapping Original, class T>
T* same_place(const Original& original, MappedRange target, T* pointer) {
  if (pointer == nullptr) return nullptr;
  const void* const at = target.data + offset_of_place(range_of(original), target, pointer, bytes_of<T>());
  return static_cast<T*>(const_cast<void*>(at));
}

}  // namespace cow::detail

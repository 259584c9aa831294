// Which types are known to keep memory outside of any arena: such an object in a heap looks right until a rollback or a
// clone, which take its handle along and not what that leads to.
#pragma once

#include <array>
#include <concepts>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace cow {

/// The way out for a program that knows better, such as one whose operator new takes from the arena:
///   template <> inline constexpr bool may_keep_memory_elsewhere<std::string> = true;
template <class T>
inline constexpr bool may_keep_memory_elsewhere = false;

namespace detail {

template <class A>
inline constexpr bool is_std_allocator = false;
template <class T>
inline constexpr bool is_std_allocator<std::allocator<T>> = true;

template <class T>
constexpr bool allocates_elsewhere() noexcept;

/// As far as the type tells: containers with std::allocator, what holds such as elements or members of the standard's
/// own aggregates, and std::unique_ptr with the default deleter. Members of a program's own classes cannot be seen.
template <class T>
inline constexpr bool keeps_memory_elsewhere = allocates_elsewhere<std::remove_cv_t<T>>();

template <class T>
inline constexpr bool has_such_a_part = false;
template <class T, std::size_t N>
inline constexpr bool has_such_a_part<T[N]> = keeps_memory_elsewhere<T>;
template <class T, std::size_t N>
inline constexpr bool has_such_a_part<std::array<T, N>> = keeps_memory_elsewhere<T>;
template <class T>
inline constexpr bool has_such_a_part<std::optional<T>> = keeps_memory_elsewhere<T>;
template <class A, class B>
inline constexpr bool has_such_a_part<std::pair<A, B>> = keeps_memory_elsewhere<A> || keeps_memory_elsewhere<B>;
template <class... T>
inline constexpr bool has_such_a_part<std::tuple<T...>> = (keeps_memory_elsewhere<T> || ...);
template <class... T>
inline constexpr bool has_such_a_part<std::variant<T...>> = (keeps_memory_elsewhere<T> || ...);
template <class T>
inline constexpr bool has_such_a_part<std::unique_ptr<T, std::default_delete<T>>> = true;

/// std::stack, std::queue and std::priority_queue.
template <class T>
concept ContainerAdaptor = requires { typename T::container_type; };

template <class T>
constexpr bool allocates_elsewhere() noexcept {
  if constexpr (may_keep_memory_elsewhere<T>) {
    return false;
  } else if constexpr (requires { typename T::allocator_type; }) {
    if constexpr (is_std_allocator<typename T::allocator_type>) {
      return true;
    } else if constexpr (requires { typename T::value_type; }) {
      if constexpr (std::same_as<typename T::value_type, T>) return false;
      return keeps_memory_elsewhere<typename T::value_type>;
    } else {
      return false;
    }
  } else if constexpr (ContainerAdaptor<T>) {
    return keeps_memory_elsewhere<typename T::container_type>;
  } else {
    return has_such_a_part<T>;
  }
}

}  // namespace detail
}  // namespace cow

#define COW_MEMORY_ELSEWHERE_MESSAGE                                                                                \
  "this type is known to keep its memory outside of the arena (std::allocator, or operator new): a rollback would " \
  "leave it garbage and clones would share it. Use std::pmr containers, such as std::pmr::string, with "            \
  "cow::MemoryResource, or Boost.Container's with cow::Allocator; a program that knows better specialises "         \
  "cow::may_keep_memory_elsewhere for the type"

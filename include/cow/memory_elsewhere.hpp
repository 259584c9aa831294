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

template <class T, class... Within>
constexpr bool allocates_elsewhere() noexcept;

/// As far as the type tells: containers with std::allocator, what holds such as elements or members of the standard's
/// own aggregates, and std::unique_ptr with the default deleter. Members of a program's own classes cannot be seen.
/// `Within`: the containers that it is looked for in, since a container may hold its own kind.
template <class T, class... Within>
inline constexpr bool keeps_memory_elsewhere = allocates_elsewhere<std::remove_cv_t<T>, Within...>();

template <class T, class... Within>
inline constexpr bool has_such_a_part = false;
template <class T, std::size_t N, class... Within>
inline constexpr bool has_such_a_part<T[N], Within...> = keeps_memory_elsewhere<T, Within...>;
template <class T, std::size_t N, class... Within>
inline constexpr bool has_such_a_part<std::array<T, N>, Within...> = keeps_memory_elsewhere<T, Within...>;
template <class T, class... Within>
inline constexpr bool has_such_a_part<std::optional<T>, Within...> = keeps_memory_elsewhere<T, Within...>;
template <class A, class B, class... Within>
inline constexpr bool has_such_a_part<std::pair<A, B>, Within...> =
    keeps_memory_elsewhere<A, Within...> || keeps_memory_elsewhere<B, Within...>;
template <class... T, class... Within>
inline constexpr bool has_such_a_part<std::tuple<T...>, Within...> = (keeps_memory_elsewhere<T, Within...> || ...);
template <class... T, class... Within>
inline constexpr bool has_such_a_part<std::variant<T...>, Within...> = (keeps_memory_elsewhere<T, Within...> || ...);
template <class T, class... Within>
inline constexpr bool has_such_a_part<std::unique_ptr<T, std::default_delete<T>>, Within...> = true;

/// std::stack, std::queue and std::priority_queue.
template <class T>
concept ContainerAdaptor = requires {
  typename T::container_type;
};

template <class T, class... Within>
constexpr bool allocates_elsewhere() noexcept {
  if constexpr (may_keep_memory_elsewhere<T> || (std::same_as<T, Within> || ...)) {
    return false;
  } else if constexpr (requires { typename T::allocator_type; }) {
    if constexpr (is_std_allocator<typename T::allocator_type>) {
      return true;
    } else if constexpr (requires { typename T::value_type; }) {
      return keeps_memory_elsewhere<typename T::value_type, T, Within...>;
    } else {
      return false;
    }
  } else if constexpr (ContainerAdaptor<T>) {
    return keeps_memory_elsewhere<typename T::container_type, T, Within...>;
  } else {
    return has_such_a_part<T, Within...>;
  }
}

}  // namespace detail
}  // namespace cow

#define COW_MEMORY_ELSEWHERE_MESSAGE                                                                                \
  "this type is known to keep its memory outside of the arena (std::allocator, or operator new): a rollback would " \
  "leave it garbage and clones would share it. Use std::pmr containers, such as std::pmr::string, with "            \
  "cow::MemoryResource, or Boost.Container's with cow::Allocator; a program that knows better specialises "         \
  "cow::may_keep_memory_elsewhere for the type"

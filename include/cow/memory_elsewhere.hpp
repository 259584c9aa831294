// Which types are known to keep memory outside of any arena: such an object in a heap looks right until a rollback or a
// clone, which take its handle along and not what that leads to.
#pragma once

#include <any>
#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace boost::container {
template <class T>
class new_allocator;
}

namespace cow {

/// The way out for a program that knows better, such as one whose operator new takes from the arena:
///   `template <> inline constexpr bool cow::may_keep_memory_elsewhere<std::string> = true;`
/// or whose std::shared_ptr are all made by std::allocate_shared with a cow::MemoryResource:
///   `template <class T> inline constexpr bool cow::may_keep_memory_elsewhere<std::shared_ptr<T>> = true;`
template <class T>
inline constexpr bool may_keep_memory_elsewhere = false;

namespace detail {

/// What takes from operator new: the default of the standard's containers, and of Boost.Container's.
template <class A>
inline constexpr bool takes_from_new = false;
template <class T>
inline constexpr bool takes_from_new<std::allocator<T>> = true;
template <class T>
inline constexpr bool takes_from_new<boost::container::new_allocator<T>> = true;

template <class T, class... Within>
constexpr bool allocates_elsewhere() noexcept;

/// As far as the type tells: containers with their default allocator, what holds such as elements or members of the
/// standard's own aggregates, std::unique_ptr with the default deleter, std::shared_ptr, std::function and std::any.
/// Members of a program's own classes cannot be seen.
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
template <class T, class... Within>
inline constexpr bool has_such_a_part<std::shared_ptr<T>, Within...> = true;
template <class T, class... Within>
inline constexpr bool has_such_a_part<std::weak_ptr<T>, Within...> = true;
template <class Signature, class... Within>
inline constexpr bool has_such_a_part<std::function<Signature>, Within...> = true;
template <class... Within>
inline constexpr bool has_such_a_part<std::any, Within...> = true;

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
    if constexpr (takes_from_new<typename T::allocator_type>) {
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
  "this type is known to keep memory outside of the arena (std::allocator, or operator new): a rollback would "     \
  "leave it garbage and clones would share it. Use std::pmr containers, such as std::pmr::string, with "            \
  "cow::MemoryResource, or Boost.Container's with cow::Allocator; a program that knows better specialises "         \
  "cow::may_keep_memory_elsewhere for the type"

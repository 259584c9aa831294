// What must not be used with cow::Allocator, because it keeps raw pointers whatever the allocator's pointer is: refused
// when it is compiled, with the alternative in the message. Newer versions that follow the allocator use other types.
#pragma once

#include <boost/version.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>
#include <version>

#ifdef __GLIBCXX__
#include <forward_list>
#include <list>
#include <map>
#include <unordered_map>
#endif

namespace cow {

template <class T>
class Allocator;

namespace detail {

/// The nodes and bucket arrays of libstdc++'s containers.
template <class T>
inline constexpr bool hides_raw_pointers = false;
/// The blocks in which libstdc++'s shared_ptr counts: it leads there by a raw pointer.
template <class T>
inline constexpr bool counts_for_raw_pointers = false;
#ifdef __GLIBCXX__
template <class T>
inline constexpr bool hides_raw_pointers<std::_List_node<T>> = true;
template <class T>
inline constexpr bool hides_raw_pointers<std::_Fwd_list_node<T>> = true;
template <class T>
inline constexpr bool hides_raw_pointers<std::_Rb_tree_node<T>> = true;
template <class T, bool CachesHash>
inline constexpr bool hides_raw_pointers<std::__detail::_Hash_node<T, CachesHash>> = true;
template <>
inline constexpr bool hides_raw_pointers<std::__detail::_Hash_node_base*> = true;
template <class T, class A, std::_Lock_policy Policy>
inline constexpr bool counts_for_raw_pointers<std::_Sp_counted_ptr_inplace<T, A, Policy>> = true;
template <class P, class D, class A, std::_Lock_policy Policy>
inline constexpr bool counts_for_raw_pointers<std::_Sp_counted_deleter<P, D, A, Policy>> = true;
#endif

template <class>
inline constexpr bool never = false;

/// cow::Allocator, or what adapts one as std::scoped_allocator_adaptor does.
template <class A>
inline constexpr bool is_cow_allocator = false;
template <class T>
inline constexpr bool is_cow_allocator<Allocator<T>> = true;
template <class A>
requires requires { typename A::outer_allocator_type; }
inline constexpr bool is_cow_allocator<A> = is_cow_allocator<typename A::outer_allocator_type>;

}  // namespace detail
}  // namespace cow

#define COW_SHARED_PTR_MESSAGE                                                                                      \
  "std::shared_ptr keeps raw pointers, and so does the state that std::promise and std::packaged_task share: clones " \
  "would share the original's object and count. With cow::Allocator use boost::interprocess::shared_ptr or "          \
  "intrusive_ptr, and a promise outside of the arena; where addresses stay, std::allocate_shared and std::promise "   \
  "with std::pmr::polymorphic_allocator and cow::MemoryResource work too"

#ifdef __GLIBCXX__
// These never ask for an allocator of a node, so they are refused by name.
template <class Char, class Traits, class T>
class std::basic_string<Char, Traits, cow::Allocator<T>> {
  static_assert(cow::detail::never<Char>,
                "std::string does not work with cow::Allocator: use boost::container::string's template, "
                "boost::container::basic_string<char, std::char_traits<char>, cow::Allocator<char>>");
};
template <class T>
class std::vector<bool, cow::Allocator<T>> {
  static_assert(cow::detail::never<T>,
                "std::vector<bool> keeps raw pointers, which are wrong in clones: with cow::Allocator use "
                "boost::container::vector<bool>");
};
#if defined(__cpp_lib_shared_ptr_arrays) && __cpp_lib_shared_ptr_arrays >= 201707L
template <class T>
struct std::_Sp_counted_array_base<cow::Allocator<T>> {
  static_assert(cow::detail::never<T>, COW_SHARED_PTR_MESSAGE);
};
#endif
#endif

// Boost's hash containers with open addressing follow the allocator's pointer since 1.84 only. They ask for an
// allocator of the elements, as a vector does, so these too are refused by name; some releases lack some of them.
#if BOOST_VERSION < 108400
#define COW_OPEN_ADDRESSING_MESSAGE                                                                               \
  "this container keeps raw pointers before Boost 1.84, so clones would share the original's elements: with "     \
  "cow::Allocator use boost::unordered_map, unordered_set and their multi- kinds, boost::container::flat_map or " \
  "flat_set, or a newer Boost"
namespace boost::unordered {

template <class Key, class T, class Hash, class Equal, class A>
class unordered_flat_map;
template <class Key, class Hash, class Equal, class A>
class unordered_flat_set;
template <class Key, class T, class Hash, class Equal, class A>
class unordered_node_map;
template <class Key, class Hash, class Equal, class A>
class unordered_node_set;
template <class Key, class T, class Hash, class Equal, class A>
class concurrent_flat_map;

template <class Key, class T, class Hash, class Equal, class A>
requires cow::detail::is_cow_allocator<A>
class unordered_flat_map<Key, T, Hash, Equal, A> {
  static_assert(cow::detail::never<A>, COW_OPEN_ADDRESSING_MESSAGE);
};
template <class Key, class Hash, class Equal, class A>
requires cow::detail::is_cow_allocator<A>
class unordered_flat_set<Key, Hash, Equal, A> {
  static_assert(cow::detail::never<A>, COW_OPEN_ADDRESSING_MESSAGE);
};
template <class Key, class T, class Hash, class Equal, class A>
requires cow::detail::is_cow_allocator<A>
class unordered_node_map<Key, T, Hash, Equal, A> {
  static_assert(cow::detail::never<A>, COW_OPEN_ADDRESSING_MESSAGE);
};
template <class Key, class Hash, class Equal, class A>
requires cow::detail::is_cow_allocator<A>
class unordered_node_set<Key, Hash, Equal, A> {
  static_assert(cow::detail::never<A>, COW_OPEN_ADDRESSING_MESSAGE);
};
template <class Key, class T, class Hash, class Equal, class A>
requires cow::detail::is_cow_allocator<A>
class concurrent_flat_map<Key, T, Hash, Equal, A> {
  static_assert(cow::detail::never<A>, COW_OPEN_ADDRESSING_MESSAGE);
};

}  // namespace boost::unordered
#undef COW_OPEN_ADDRESSING_MESSAGE
#endif

// A standard allocator over a heap in an arena, for containers that stay valid in clones at other addresses.
#pragma once

#include <boost/interprocess/offset_ptr.hpp>
#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

#include "cow/heap.hpp"
#include "cow/memory_elsewhere.hpp"
#include "cow/refused_containers.hpp"

namespace cow {

/// A pointer that holds the distance from itself: it means the same in every clone and view of its arena.
template <class T>
using offset_ptr = boost::interprocess::offset_ptr<T>;

namespace detail {

COW_API const void* heap_arena_begin(const HeapCore& core) noexcept;
/// These two look the heap up by its arena's address. Throw std::logic_error if no Heap was attached there.
COW_API void* allocate_at(const void* arena_begin, std::size_t bytes, std::size_t alignment);
COW_API void deallocate_at(const void* arena_begin, void* block);

}  // namespace detail

/// An allocator whose pointers are offset_ptrs. A container that uses it, and lies in the arena itself, can be used in
/// clones of the arena and read in views, wherever they are mapped; in a clone it allocates from the clone's heap.
/// Works with Boost.Container, Boost.MultiIndex, boost::circular_buffer, with boost::unordered_map, unordered_set and
/// their multi- kinds, and with std::vector and std::deque; from Boost 1.84 on, as its documentation says, also with
/// boost::unordered_flat_* and unordered_node_*. Refused when compiled: these two before Boost 1.84, the standard's
/// other containers where they keep raw pointers (libstdc++), std::allocate_shared, and elements that are known to
/// keep their memory elsewhere, such as std::string. Not known to the library, so not refused: containers of other
/// libraries, of which many keep raw pointers whatever the allocator says. And boost::container::stable_vector: as
/// of Boost 1.74 it breaks the aliasing rules with any offset_ptr, and gcc 12 makes programs of it that crash (seen
/// with Boost.Interprocess's allocator too). What the elements point to is the program's business: a raw pointer in
/// an element is copied as it is.
///
/// A heap must be attached to each arena (cow::Heap) before its containers allocate; else allocate() throws
/// std::logic_error, and deallocate(), which must not throw, ends the program.
///
/// Assignment and swap leave each container with its heap. Thread safety: as Heap.
template <class T>
class Allocator {
  static_assert(!detail::hides_raw_pointers<T>,
                "this standard container keeps raw pointers, which are wrong in clones: with cow::Allocator use "
                "boost::container::list, slist, map, set, flat_map or flat_set, or boost::unordered_map or "
                "unordered_set; where addresses stay, std::pmr with cow::MemoryResource works too");
  static_assert(!detail::counts_for_raw_pointers<T>, COW_SHARED_PTR_MESSAGE);

 public:
  using value_type = T;
  using pointer = offset_ptr<T>;
  using const_pointer = offset_ptr<const T>;
  using void_pointer = offset_ptr<void>;
  using const_void_pointer = offset_ptr<const void>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using propagate_on_container_copy_assignment = std::false_type;
  using propagate_on_container_move_assignment = std::false_type;
  using propagate_on_container_swap = std::false_type;
  using is_always_equal = std::false_type;

  template <class U>
  struct rebind {
    using other = Allocator<U>;
  };

  /// There is none: this is for the message. An allocator belongs to a heap.
  template <class Made = T>
  Allocator() noexcept {
    static_assert(!std::is_same_v<Made, T>,
                  "a container with cow::Allocator is made here without its heap. Give it one: heap.create<Map>(heap) "
                  "or Map map(heap). An element of another container gets its heap handed down where that one's "
                  "allocator is boost::container::scoped_allocator_adaptor<cow::Allocator<Element>>");
  }
  Allocator(const Heap& heap) noexcept  // implicit: a container is constructed from a heap
      : arena_begin_(const_cast<void*>(detail::heap_arena_begin(*heap.core_))) {}
  template <class U>
  Allocator(const Allocator<U>& other) noexcept : arena_begin_(other.arena_begin_) {}

  [[nodiscard]] pointer allocate(size_type count) {
    static_assert(!detail::keeps_memory_elsewhere<T>, COW_MEMORY_ELSEWHERE_MESSAGE);  // here T is complete
    if (count > std::numeric_limits<size_type>::max() / sizeof(T)) throw std::bad_array_new_length();
    return pointer(static_cast<T*>(detail::allocate_at(arena_begin_.get(), count * sizeof(T), alignof(T))));
  }

  void deallocate(const pointer& block, size_type) noexcept {
    detail::deallocate_at(arena_begin_.get(), const_cast<std::remove_cv_t<T>*>(block.get()));
  }

  /// Whether what one allocated the other may free: they are of the same arena.
  template <class U>
  bool operator==(const Allocator<U>& other) const noexcept {
    return arena_begin_ == other.arena_begin_;
  }

 private:
  template <class U>
  friend class Allocator;

  offset_ptr<void> arena_begin_;  // self-relative: copied into a clone along with the container, it means the clone
};

}  // namespace cow

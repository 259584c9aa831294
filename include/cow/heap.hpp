// A general-purpose heap that lives in an arena, whole: snapshots, rollbacks and clones take it along.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "cow/arena.hpp"
#include "cow/memory_elsewhere.hpp"
#include "cow/view.hpp"

namespace cow {

namespace detail {

class HeapCore;
template <class T>
std::uint64_t root_type() noexcept;
/// The root of the heap in a view of `size` bytes at `data`, or nullptr if it has none.
COW_API const void* root_in_view(const std::byte* data, std::size_t size, std::uint64_t type);

}  // namespace detail

/// What a heap holds. Sizes in bytes.
struct HeapStats {
  std::uint64_t live_blocks = 0;
  std::uint64_t live_bytes = 0;         ///< usable sizes of the live blocks: what was asked for, rounded up
  std::uint64_t used_bytes = 0;         ///< pages of spans that hold live blocks, whole
  std::uint64_t kept_bytes = 0;         ///< free pages whose memory is kept for the next allocations
  std::uint64_t bookkeeping_bytes = 0;  ///< the part of the heap's own books that is in use
  std::uint64_t refused_frees = 0;  ///< calls of deallocate() that were no live block's, by any handle of this arena
};

/// What check() found.
struct HeapReport {
  std::vector<std::string> problems;   ///< each names one thing that is wrong in the heap, and where
  std::uint64_t refused_frees = 0;     ///< mistakes of the program, that left the heap sound: as in HeapStats
  const void* last_refused = nullptr;  ///< the pointer that was refused last
  /// The heap is sound, whatever the program tried to free.
  bool ok() const noexcept { return problems.empty(); }
};

struct HeapOptions {
  /// Free memory that is not given back to the system but kept for the next allocations, in bytes: at most so much, and
  /// not much more than the heap recently had in use besides. 0: all that is freed goes back at once.
  std::size_t keep_free_bytes = std::size_t{64} << 20;
};

/// The heap's arena is full: no free run of its memory is long enough. An arena's capacity is fixed, so only freeing
/// blocks helps, or a larger arena. what() says so with the numbers; it needs no memory.
class COW_API HeapFull : public std::bad_alloc {
 public:
  HeapFull(const char* arena_name, std::size_t capacity, std::size_t requested, std::size_t alignment) noexcept;

  const char* what() const noexcept override { return text_; }
  std::size_t capacity() const noexcept { return capacity_; }    ///< of the arena, in bytes
  std::size_t requested() const noexcept { return requested_; }  ///< bytes

 private:
  std::size_t capacity_, requested_;
  char text_[256];
};

/// A handle on the heap in an arena. All of the heap is inside the arena: a clone has the same heap at another
/// address, where it allocates and frees on its own, and a rollback also takes back allocations. Copying a
/// handle copies no blocks. It follows the arena when that is moved and must not be used after it is destroyed.
///
/// Kind to pages: bookkeeping is apart from the blocks, so freeing does not touch a block's page; after a
/// snapshot, blocks come from pages that were already copied, then from fresh or half-empty ones.
///
/// Thread safety: all members may be called by any threads at once, also beside snapshot() and clone(), which
/// never catch an operation half done. Threads mostly use pages and locks of their own. Not for signal handlers.
///
/// fork(): the child has its own copy of the arena, and handles and containers go on working in it.
///
/// Wrong frees: deallocate() cannot throw, and a library must not end the program for a mistake it can survive:
/// a pointer that is not a live block's is refused and counted, see stats() and check(); and so is a block with pages
/// that Arena::exclude() has taken out of snapshots, which stays. A block that was freed and
/// given out again cannot be told from a live one.
class COW_API Heap {
 public:
  /// Makes a heap in an arena that was never written, or attaches to the one it holds, as a clone does.
  /// Throws std::invalid_argument for other content, for a heap that was made for another capacity, and for arenas too
  /// small to hold anything; std::logic_error for one that has excluded pages and no heap.
  /// A heap must be attached in each arena before containers with cow::Allocator change anything there.
  explicit Heap(Arena& arena);
  /// The same with options, which are kept in the heap: clones have them too, and a rollback brings back those of then.
  Heap(Arena& arena, const HeapOptions& options);

  /// `alignment`: any power of two, else std::invalid_argument. Beyond a page it holds in this arena only: clones
  /// begin at a page of their own. Never-used memory reads as zero, used memory holds anything. `bytes` may
  /// be 0. Throws HeapFull when the arena is full, with the heap as it was. Cost: tens of nanoseconds
  /// up to 8 KiB; above, a search that grows with the logarithm of the number of free runs.
  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t));
  /// The same with nullptr instead of an exception.
  [[nodiscard]] void* try_allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) noexcept;
  /// The same with all bytes zero, as calloc(). A large block whose memory was never used, or given back, is not
  /// written for that, and takes memory only where it is used.
  [[nodiscard]] void* allocate_zeroed(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t));
  [[nodiscard]] void* try_allocate_zeroed(std::size_t bytes,
                                          std::size_t alignment = alignof(std::max_align_t)) noexcept;

  /// The block with a new size, at the same place where possible. nullptr: as allocate(). Keeps the content up to the
  /// smaller size, and alignment up to alignof(std::max_align_t). Throws HeapFull and leaves the block alone,
  /// std::invalid_argument if it is not a live block, or has excluded pages and would have to move.
  [[nodiscard]] void* reallocate(void* block, std::size_t bytes);
  /// The same with nullptr instead of an exception, and the block left alone.
  [[nodiscard]] void* try_reallocate(void* block, std::size_t bytes) noexcept;

  /// nullptr: nothing. A freed block of 8 KiB or more gives its memory back to the system when the heap has
  /// enough at hand; see HeapOptions and trim(). Does not clear the root; check() names one that was freed.
  void deallocate(void* block) noexcept;

  /// The bytes that may be used, at least what was asked for; 0 if it is not a live block.
  std::size_t usable_size(const void* block) const noexcept;
  /// What usable_size() will be for a block of `bytes`.
  static std::size_t rounded_size(std::size_t bytes) noexcept;

  /// Refuses when compiled what is known to keep its memory outside of any arena, such as std::string: see
  /// cow/memory_elsewhere.hpp.
  template <class T, class... A>
  [[nodiscard]] T* create(A&&... arguments);
  /// nullptr: nothing. If the root is in the object, there is none afterwards.
  template <class T>
  void destroy(T* object) noexcept;

  /// The one pointer from which a clone or a view finds the rest. A pointer to void is not type-checked. The root
  /// must lie in the arena, else std::invalid_argument.
  void set_root(std::nullptr_t) { put_root(nullptr, 0); }
  void set_root(void* root) { put_root(root, 0); }
  template <class T>
  void set_root(T* root) {
    put_root(const_cast<std::remove_cv_t<T>*>(root), detail::root_type<T>());
  }
  /// nullptr if none was set. Throws std::logic_error if it was set as another type; root<void>() never.
  template <class T>
  T* root() const {
    return static_cast<T*>(get_root(detail::root_type<T>()));
  }
  /// The same in a view, where offset_ptrs work too. Throws std::invalid_argument if the view holds no heap,
  /// std::logic_error if it is empty.
  template <class T>
  static const T* root(const View& view) {
    return static_cast<const T*>(detail::root_in_view(view.data(), view.size(), detail::root_type<T>()));
  }

  HeapStats stats() const;

  /// Walks all bookkeeping and reports what contradicts itself, and counts refused frees. Never damages or
  /// follows damaged links out of the arena. Cost: all allocation waits while it reads 64 bytes for each page in use.
  HeapReport check() const;

  /// Gives the memory of all free pages back, as far as no snapshot needs it.
  void trim();

  /// Handles on the same arena's heap.
  friend bool operator==(const Heap&, const Heap&) noexcept = default;

 private:
  template <class T>
  friend class Allocator;

  void put_root(void* root, std::uint64_t type);
  void* get_root(std::uint64_t type) const;
  void forget_root_in(const void* block) noexcept;

  detail::HeapCore* core_;  // owned by the arena: the process's side of the heap, above all its locks
};

template <class T, class... A>
T* Heap::create(A&&... arguments) {
  static_assert(!detail::keeps_memory_elsewhere<T>, COW_MEMORY_ELSEWHERE_MESSAGE);
  void* const place = allocate(sizeof(T), alignof(T));
  try {
    if constexpr (std::is_constructible_v<T, A...>) {
      return ::new (place) T(std::forward<A>(arguments)...);
    } else {
      return ::new (place) T{std::forward<A>(arguments)...};  // an aggregate, which clang 14 makes with braces only
    }
  } catch (...) {
    deallocate(place);
    throw;
  }
}

template <class T>
void Heap::destroy(T* object) noexcept {
  if (object == nullptr) return;
  auto* const changeable = const_cast<std::remove_cv_t<T>*>(object);
  void* block = changeable;
  if constexpr (std::is_polymorphic_v<T>) block = dynamic_cast<void*>(changeable);  // it may be a base inside the block
  std::destroy_at(object);
  forget_root_in(block);
  deallocate(block);
}

/// A number for the type, the same in all parts of a program; 0 where it is not known.
template <class T>
std::uint64_t detail::root_type() noexcept {
#ifdef __cpp_rtti
  if constexpr (!std::is_void_v<T>) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char* c = typeid(T).name(); *c != '\0'; ++c) {
      hash = (hash ^ static_cast<unsigned char>(*c)) * 0x100000001b3;
    }
    return hash;
  }
#endif
  return 0;
}

}  // namespace cow

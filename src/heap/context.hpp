// The process's side of one heap: its locks, and what it knows about the arena's pages. None of it is in the arena,
// so that no snapshot can freeze a lock and no rollback can take back what is known.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "cow/arena.hpp"
#include "heap/layout.hpp"
#include "heap/spin_lock.hpp"

namespace cow::detail {

/// Lock order: one shard, then the pages; all shards in order only for a cut and for check(). Any of them may be held
/// across a fault or a call of the arena, whose locks come after these.
struct HeapContext {
  struct alignas(64) ShardLock : SpinLock {};

  explicit HeapContext(const ArenaRef& of);

  ArenaRef arena;
  Books books;
  std::size_t capacity = 0;

  ShardLock shard_locks[max_shards];
  alignas(64) SpinLock page_lock;

  /// Changes with every cut and is never the same in two arenas: what the arena's content says of pages made writable
  /// since this cut was written by this arena's heap and still holds. Guarded by all the locks: any one to read.
  std::uint64_t cut = 0;

  std::atomic<std::uint64_t> refused_frees{0};
  std::atomic<const void*> last_refused{nullptr};

  void start_cut() noexcept;
  void refuse(const void* block) noexcept;

  bool holds_heap() const noexcept { return books.header->magic == heap_magic; }
  /// A cut may have rolled the arena back to before the heap was made. Throws std::logic_error then.
  void require_heap() const;

  bool is_writable(const std::byte* p) const noexcept { return arena.is_writable(p); }
  /// Spares the faults; false if there is no memory for it.
  [[nodiscard]] bool make_writable(std::byte* p, std::size_t bytes) const noexcept;
};

/// Holds all locks of a heap: nothing in it is half done.
class WholeHeapLock {
 public:
  explicit WholeHeapLock(HeapContext& context) noexcept : context_(context) { take(context); }
  ~WholeHeapLock() { release(context_); }
  WholeHeapLock(const WholeHeapLock&) = delete;
  WholeHeapLock& operator=(const WholeHeapLock&) = delete;

  static void take(HeapContext& context) noexcept;
  static void release(HeapContext& context) noexcept;
  static void let_go_in_child(HeapContext& context) noexcept;

 private:
  HeapContext& context_;
};

using PageGuard = std::lock_guard<SpinLock>;
using ShardGuard = std::lock_guard<SpinLock>;

}  // namespace cow::detail

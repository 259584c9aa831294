// Locks and cuts of one heap.
#include "heap/context.hpp"

#include <exception>
#include <stdexcept>

namespace cow::detail {

HeapContext::HeapContext(const ArenaRef& of) : arena(of), capacity(of.capacity()) {
  books.geometry = Geometry::of(capacity);
  books.base = arena.data();
  books.header = reinterpret_cast<Header*>(books.base);
  books.shards = reinterpret_cast<Shard*>(books.base + books.geometry.shards_offset);
  books.units = reinterpret_cast<Unit*>(books.base + books.geometry.units_offset);
  start_cut();
}

void HeapContext::start_cut() noexcept {
  static std::atomic<std::uint64_t> last_cut{0};
  cut = last_cut.fetch_add(1, std::memory_order_relaxed) + 1;  // never 0, which unused memory holds
}

void HeapContext::refuse(const void* block) noexcept {
  last_refused.store(block, std::memory_order_relaxed);
  refused_frees.fetch_add(1, std::memory_order_relaxed);
}

void HeapContext::require_heap() const {
  if (!holds_heap()) throw std::logic_error("cow::Heap: the arena was rolled back to before its heap was made");
}

bool HeapContext::make_writable(std::byte* p, std::size_t bytes) const noexcept {
  try {
    arena.prepare_write(p, bytes);
    return true;
  } catch (const std::logic_error&) {
    return true;  // in a fork()ed child, whose copy of the arena is ordinary memory
  } catch (const std::exception&) {
    return false;
  }
}

void WholeHeapLock::take(HeapContext& context) noexcept {
  for (unsigned shard = 0; shard < context.books.geometry.shard_count; ++shard) context.shard_locks[shard].lock();
  context.page_lock.lock();
}

void WholeHeapLock::release(HeapContext& context) noexcept {
  context.page_lock.unlock();
  for (unsigned shard = context.books.geometry.shard_count; shard-- > 0;) context.shard_locks[shard].unlock();
}

void WholeHeapLock::let_go_in_child(HeapContext& context) noexcept {
  for (SpinLock& lock : context.shard_locks) lock.let_go_in_child();
  context.page_lock.let_go_in_child();
}

}  // namespace cow::detail

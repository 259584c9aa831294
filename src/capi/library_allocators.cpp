// Allocators in the shapes of libraries: with a context, SQLite's, and those that know one malloc for the process.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <malloc.h>

#include "capi/heap_blocks.hpp"
#include "capi/objects.hpp"
#include "cow/cow.h"

using namespace cow::capi;

namespace {

constexpr int sqlite_ok = 0, sqlite_error = 1;

constinit std::atomic<cow_heap*> sqlite_heap{nullptr};
constinit std::atomic<cow_heap*> process_heap{nullptr};

cow_heap* heap_of_sqlite() noexcept { return sqlite_heap.load(std::memory_order_acquire); }
cow_heap* heap_of_process() noexcept { return process_heap.load(std::memory_order_acquire); }

cow_heap* as_heap(void* context) noexcept { return static_cast<cow_heap*>(context); }

/// The process's own handle on the heap, which nobody closes: a free must not go to the C library because the program
/// has closed its own. One for each heap in turn, and never given back, since threads may be using it.
cow_heap* own_handle_on(const OpenHeap& heap) {
  static constinit std::atomic<cow_heap*> last{nullptr};
  cow_heap* const before = last.load(std::memory_order_acquire);
  const OpenHeap* const of_last = before == nullptr ? nullptr : find(before);
  if (of_last != nullptr && of_last->heap == heap.heap) return before;
  cow_heap* const made = open<cow_heap>(OpenHeap(heap));
  last.store(made, std::memory_order_release);
  return made;
}

/// Whether the block is of that heap's arena, rather than the C library's.
bool is_of(cow_heap* heap, const void* block) noexcept {
  const OpenHeap* const of = heap == nullptr ? nullptr : find(heap);
  return of != nullptr && of->arena.contains(block);
}

}  // namespace

void* cow_lua_alloc(void* heap, void* block, std::size_t, std::size_t n) noexcept {
  if (n != 0) return reallocate(__func__, as_heap(heap), block, n);
  deallocate(__func__, as_heap(heap), block);
  return nullptr;
}

void* cow_zlib_alloc(void* heap, unsigned items, unsigned bytes) noexcept {
  return allocate(__func__, as_heap(heap), std::size_t{items} * bytes);
}
void cow_zlib_free(void* heap, void* block) noexcept { deallocate(__func__, as_heap(heap), block); }

void* cow_opaque_malloc(void* heap, std::size_t n) noexcept { return allocate(__func__, as_heap(heap), n); }
void* cow_opaque_realloc(void* heap, void* block, std::size_t n) noexcept {
  return reallocate(__func__, as_heap(heap), block, n);
}
void cow_opaque_free(void* heap, void* block) noexcept { deallocate(__func__, as_heap(heap), block); }

void* cow_sqlite_malloc(int n) noexcept {
  return n < 0 ? nullptr : allocate(__func__, heap_of_sqlite(), static_cast<std::size_t>(n));
}
void cow_sqlite_free(void* block) noexcept { deallocate(__func__, heap_of_sqlite(), block); }
void* cow_sqlite_realloc(void* block, int n) noexcept {
  return n < 0 ? nullptr : reallocate(__func__, heap_of_sqlite(), block, static_cast<std::size_t>(n));
}
int cow_sqlite_size(void* block) noexcept {
  return static_cast<int>(std::min<std::size_t>(cow_heap_usable_size(heap_of_sqlite(), block), INT_MAX));
}
int cow_sqlite_roundup(int n) noexcept {
  const std::size_t rounded = cow::Heap::rounded_size(static_cast<std::size_t>(n < 0 ? 0 : n));
  return rounded > INT_MAX ? n : static_cast<int>(rounded);
}
int cow_sqlite_init(void* heap) noexcept {
  if (guarded(__func__, [heap] { use(as_heap(heap)); }) != 0) return sqlite_error;
  sqlite_heap.store(as_heap(heap), std::memory_order_release);
  return sqlite_ok;
}
void cow_sqlite_shutdown(void*) noexcept { sqlite_heap.store(nullptr, std::memory_order_release); }

int cow_process_heap_set(cow_heap* heap) noexcept {
  return guarded(__func__, [heap] {
    process_heap.store(heap == nullptr ? nullptr : own_handle_on(use(heap)), std::memory_order_release);
  });
}

void* cow_process_malloc(std::size_t n) noexcept {
  cow_heap* const heap = heap_of_process();
  return heap == nullptr ? std::malloc(n) : allocate(__func__, heap, n);
}

void* cow_process_calloc(std::size_t count, std::size_t n) noexcept {
  cow_heap* const heap = heap_of_process();
  return heap == nullptr ? std::calloc(count, n) : allocate_zeroed(__func__, heap, count, n);
}

void* cow_process_realloc(void* block, std::size_t n) noexcept {
  cow_heap* const heap = heap_of_process();
  if (heap != nullptr && (block == nullptr || is_of(heap, block))) return reallocate(__func__, heap, block, n);
  return std::realloc(block, n == 0 ? 1 : n);
}

void cow_process_free(void* block) noexcept {
  cow_heap* const heap = heap_of_process();
  if (is_of(heap, block)) return deallocate(__func__, heap, block);
  std::free(block);
}

void* cow_process_aligned_alloc(std::size_t alignment, std::size_t n) noexcept {
  cow_heap* const heap = heap_of_process();
  if (heap != nullptr) return allocate(__func__, heap, n, alignment);
  void* block = nullptr;
  const bool right = std::has_single_bit(alignment);  // sanitizers end the process for another
  const int error =
      right ? posix_memalign(&block, alignment < sizeof(void*) ? sizeof(void*) : alignment, n) : EINVAL;
  if (error != 0) errno = error;
  return error == 0 ? block : nullptr;
}

char* cow_process_strdup(const char* text) noexcept {
  cow_heap* const heap = heap_of_process();
  return heap == nullptr && text != nullptr ? strdup(text) : duplicate(__func__, heap, text);
}

std::size_t cow_process_usable_size(const void* block) noexcept {
  cow_heap* const heap = heap_of_process();
  if (is_of(heap, block)) return cow_heap_usable_size(heap, block);
  return malloc_usable_size(const_cast<void*>(block));
}

// What cow::Allocator calls: from an address in the arena to the process's side of its heap.
#include "cow/allocator.hpp"

#include "heap/heap_core.hpp"

namespace cow::detail {

const void* heap_arena_begin(const HeapCore& core) noexcept { return core.arena_begin(); }

void* allocate_at(const void* arena_begin, std::size_t bytes, std::size_t alignment) {
  return HeapCore::at(arena_begin).allocate_or_throw(bytes, alignment);
}

void deallocate_at(const void* arena_begin, void* block) { HeapCore::at(arena_begin).deallocate(block); }

}  // namespace cow::detail

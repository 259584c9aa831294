// What malloc and its relatives have in common, whatever shape a library wants them in.
#include "capi/heap_blocks.hpp"

#include <cerrno>
#include <cstring>

#include "capi/objects.hpp"
#include "cow/heap.hpp"

namespace cow::capi {

namespace {

void* refuse(const char* call, int code, const char* why) noexcept {
  fail(call, code, why);
  errno = code;
  return nullptr;
}

OpenHeap* find_or_tell(const char* call, cow_heap* heap) noexcept {
  OpenHeap* const found = find(heap);
  if (found != nullptr) [[likely]]
    return found;
  errno = -guarded(call, [heap] { use(heap); });
  return nullptr;
}

/// Once more by what throws, for the reason; it may also have worked out meanwhile.
template <class F>
void* again_for_the_reason(const char* call, F&& f) noexcept {
  void* block = nullptr;
  if (const int error = guarded(call, [&] { block = f(); })) errno = -error;
  return block;
}

}  // namespace

void* allocate(const char* call, cow_heap* heap, std::size_t n, std::size_t alignment) noexcept {
  OpenHeap* const of = find_or_tell(call, heap);
  if (of == nullptr) return nullptr;
  void* const block = of->heap.try_allocate(n, alignment);
  if (block != nullptr) [[likely]]
    return block;
  return again_for_the_reason(call, [&] { return of->heap.allocate(n, alignment); });
}

void* allocate_zeroed(const char* call, cow_heap* heap, std::size_t count, std::size_t n,
                      std::size_t alignment) noexcept {
  OpenHeap* const of = find_or_tell(call, heap);
  if (of == nullptr) return nullptr;
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, n, &bytes)) return refuse(call, ENOMEM, "count times size is beyond any memory");
  void* const block = of->heap.try_allocate_zeroed(bytes, alignment);
  if (block != nullptr) [[likely]]
    return block;
  return again_for_the_reason(call, [&] { return of->heap.allocate_zeroed(bytes, alignment); });
}

void* reallocate(const char* call, cow_heap* heap, void* block, std::size_t n) noexcept {
  OpenHeap* const of = find_or_tell(call, heap);
  if (of == nullptr) return nullptr;
  void* const resized = of->heap.try_reallocate(block, n);
  if (resized != nullptr) [[likely]]
    return resized;
  return again_for_the_reason(call, [&] { return of->heap.reallocate(block, n); });
}

void deallocate(const char* call, cow_heap* heap, void* block) noexcept {
  if (block == nullptr) return;
  const KeptErrno kept;
  if (OpenHeap* const of = find_or_tell(call, heap)) of->heap.deallocate(block);
}

char* duplicate(const char* call, cow_heap* heap, const char* text) noexcept {
  if (text == nullptr) return static_cast<char*>(refuse(call, EINVAL, "the text is NULL"));
  const std::size_t bytes = std::strlen(text) + 1;
  void* const copy = allocate(call, heap, bytes);
  return copy == nullptr ? nullptr : static_cast<char*>(std::memcpy(copy, text, bytes));
}

}  // namespace cow::capi

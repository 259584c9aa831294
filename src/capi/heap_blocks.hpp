// Blocks of a heap without exceptions: NULL, errno and the thread's text. `call` is the name that an error is told by.
#pragma once

#include <cstddef>

#include "cow/cow.h"

namespace cow::capi {

void* allocate(const char* call, cow_heap* heap, std::size_t n,
               std::size_t alignment = alignof(std::max_align_t)) noexcept;
void* allocate_zeroed(const char* call, cow_heap* heap, std::size_t count, std::size_t n,
                      std::size_t alignment = alignof(std::max_align_t)) noexcept;
void* reallocate(const char* call, cow_heap* heap, void* block, std::size_t n) noexcept;
void deallocate(const char* call, cow_heap* heap, void* block) noexcept;
char* duplicate(const char* call, cow_heap* heap, const char* text) noexcept;

}  // namespace cow::capi

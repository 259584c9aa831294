// A std::pmr::memory_resource over a heap in an arena.
#pragma once

#include <cstddef>
#include <memory_resource>

#include "cow/heap.hpp"

namespace cow {

/// For std::pmr containers. They keep raw pointers, to their elements and to this resource: right where addresses stay,
/// so in the arena itself, with snapshot() and rollback(); wrong in clones and views, which need cow::Allocator.
/// Elements must be such too: a std::pmr::vector<std::string> keeps its texts outside the arena, where a rollback does
/// not reach them. Heap::create refuses that when compiled; a resource cannot see what is made otherwise.
/// Must outlive its containers, and not its arena. Thread safety and errors: as Heap.
class COW_API MemoryResource final : public std::pmr::memory_resource {
 public:
  explicit MemoryResource(const Heap& heap) noexcept : heap_(heap) {}

  const Heap& heap() const noexcept { return heap_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override { return heap_.allocate(bytes, alignment); }
  void do_deallocate(void* block, std::size_t, std::size_t) override { heap_.deallocate(block); }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
#ifdef __cpp_rtti
    const auto* const same_kind = dynamic_cast<const MemoryResource*>(&other);
    return same_kind != nullptr && same_kind->heap_ == heap_;
#else
    return this == &other;  // two over one heap count as different then: containers copy, where they could move
#endif
  }

  Heap heap_;
};

}  // namespace cow

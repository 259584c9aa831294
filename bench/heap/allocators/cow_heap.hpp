// cow::Heap in an arena.
#pragma once

#include <cstddef>

#include "cow/cow.hpp"
#include "memory.hpp"

namespace cow::bench {

class CowHeap {
 public:
  static constexpr const char* name = "cow::Heap";
  void* allocate(std::size_t bytes) { return heap_.allocate(bytes); }
  void deallocate(void* block, std::size_t) noexcept { heap_.deallocate(block); }
  void trim() { heap_.trim(); }
  std::size_t resident_bytes() const { return resident_in(arena_.data(), arena_.capacity()); }

  /// What was written since its construction, by comparing the content.
  class Watch {
   public:
    explicit Watch(CowHeap& heap) : arena_(heap.arena_), before_(arena_.snapshot()) {}
    std::size_t pages_changed() const { return pages_that_differ(arena_, before_); }

   private:
    Arena& arena_;
    Snapshot before_;
  };

  Snapshot snapshot() { return arena_.snapshot(); }

 private:
  Arena arena_;
  Heap heap_{arena_};
};

}  // namespace cow::bench

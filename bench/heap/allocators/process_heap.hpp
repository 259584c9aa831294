// Heaps of the whole process, which cannot be cloned: their memory is wherever the process has private memory.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <memory_resource>

#include "memory.hpp"

namespace cow::bench {

class ProcessHeap {
 public:
  /// `give_back` returns to the system what earlier measurements left.
  explicit ProcessHeap(void (*give_back)()) {
    give_back();
    resident_before_ = private_resident_bytes();
  }
  /// For a heap that keeps what earlier measurements left: it is resident, and will be used again.
  explicit ProcessHeap(std::size_t resident_at_start) : resident_before_(resident_at_start) {}
  std::size_t resident_bytes() const { return private_resident_bytes() - resident_before_; }

  class Watch {
   public:
    explicit Watch(ProcessHeap&) : before_(private_mappings()) {}
    std::size_t pages_changed() const { return before_.pages_that_differ(); }

   private:
    MemoryCopy before_;
  };

 private:
  std::size_t resident_before_;
};

inline void trim_malloc() { ::malloc_trim(0); }

/// malloc of the C library that this program was linked with.
class Malloc : public ProcessHeap {
 public:
  static constexpr const char* name = "glibc malloc";
  Malloc() : ProcessHeap(trim_malloc) {}
  void* allocate(std::size_t bytes) { return std::malloc(bytes); }
  void deallocate(void* block, std::size_t) noexcept { std::free(block); }
  void trim() { trim_malloc(); }
};

class PmrPool : public ProcessHeap {
 public:
  static constexpr const char* name = "std::pmr pool";
  PmrPool() : ProcessHeap(trim_malloc) {}
  void* allocate(std::size_t bytes) { return pool_.allocate(bytes); }
  void deallocate(void* block, std::size_t bytes) noexcept { pool_.deallocate(block, bytes); }

 private:
  std::pmr::unsynchronized_pool_resource pool_;
};

}  // namespace cow::bench

// Boost.Interprocess's rbtree_best_fit in a buffer, without a mutex: the usual way to keep a heap relocatable.
#pragma once

#include <boost/interprocess/managed_external_buffer.hpp>
#include <cstddef>

#include "memory.hpp"

namespace cow::bench {

class Interprocess {
 public:
  static constexpr const char* name = "Boost.Interprocess";
  void* allocate(std::size_t bytes) { return heap_.allocate(bytes); }
  void deallocate(void* block, std::size_t) noexcept { heap_.deallocate(block); }
  std::size_t resident_bytes() const { return resident_in(buffer_.data(), buffer_.size()); }

  class Watch {
   public:
    explicit Watch(Interprocess& heap) : before_({{heap.buffer_.data(), heap.buffer_.size()}}) {}
    std::size_t pages_changed() const { return before_.pages_that_differ(); }

   private:
    MemoryCopy before_;
  };

 private:
  Buffer buffer_{std::size_t{512} << 20};
  boost::interprocess::managed_external_buffer heap_{boost::interprocess::create_only, buffer_.data(), buffer_.size()};
};

}  // namespace cow::bench

// Measures memory: what is resident, and which pages changed, by comparing them with a copy. The same for all heaps.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "cow/cow.hpp"

namespace cow::bench {

/// Memory straight from the kernel. Shared, so that it is never taken for a heap's own private memory.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_;
  std::size_t size_;
};

using MemoryRange = std::span<const std::byte>;

std::size_t resident_in(const std::byte* begin, std::size_t bytes);

/// Resident private memory of this process, and where it is; without stacks.
std::size_t private_resident_bytes();
std::vector<MemoryRange> private_mappings();

/// A copy of what is resident in some ranges. Memory that appears in private mappings later is compared with zeros.
class MemoryCopy {
 public:
  explicit MemoryCopy(std::vector<MemoryRange> ranges);
  std::size_t pages_that_differ() const;

 private:
  struct Part {
    MemoryRange original;
    std::unique_ptr<Buffer> copy;
  };
  std::vector<Part> parts_;
};

std::size_t pages_that_differ(const Arena& arena, const Snapshot& since);

}  // namespace cow::bench

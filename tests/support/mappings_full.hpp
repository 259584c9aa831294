// A process that has nearly as many mappings as the kernel lets it have (vm.max_map_count): not by the library's own
// budget, but by mappings of somebody else's.
#pragma once

#include <cstddef>

#include <sys/mman.h>

#include "cow/cow.hpp"
#include "support/process.hpp"

namespace cow::test {

/// While it lives, the kernel gives the process so many mappings more.
class MappingsFull {
 public:
  explicit MappingsFull(std::size_t left) : bytes_((mapping_limit() + 2) * page_size()) {
    void* const range = ::mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) return;
    range_ = static_cast<std::byte*>(range);
    // Every other page readable: each is a mapping, and so is what is between.
    std::size_t page = 1;
    while (page < bytes_ / page_size() && protect(page, PROT_READ)) page += 2;
    full_ = page < bytes_ / page_size();
    for (std::size_t given = 0; given < left && page > 1; given += 2) protect(page -= 2, PROT_NONE);
  }
  MappingsFull(const MappingsFull&) = delete;
  MappingsFull& operator=(const MappingsFull&) = delete;
  ~MappingsFull() {
    if (range_ != nullptr) ::munmap(range_, bytes_);
  }
  explicit operator bool() const { return full_; }

 private:
  bool protect(std::size_t page, int access) {
    return ::mprotect(range_ + page * page_size(), page_size(), access) == 0;
  }

  std::size_t bytes_;
  std::byte* range_ = nullptr;
  bool full_ = false;
};

}  // namespace cow::test

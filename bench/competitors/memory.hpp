// Mappings and files that competitors use: owned, thrown about when refused. Knows no snapshots.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1; the C library's headers of Debian 12 are older
#endif

namespace bench {

[[noreturn]] inline void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(std::size_t bytes, int protection, int flags, int file = -1)
      : base_(::mmap(nullptr, bytes, protection, flags, file, 0)), bytes_(bytes) {
    if (base_ == MAP_FAILED) throw_errno("mmap of a competitor's memory");
  }
  Mapping(Mapping&& other) noexcept : base_(std::exchange(other.base_, MAP_FAILED)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (base_ != MAP_FAILED) ::munmap(base_, bytes_);
  }

  std::byte* data() const noexcept { return static_cast<std::byte*>(base_); }
  std::size_t size() const noexcept { return bytes_; }

 private:
  void* base_ = MAP_FAILED;
  std::size_t bytes_ = 0;
};

inline Mapping anonymous_memory(std::size_t bytes) {
  return {bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
}

class MemoryFile {
 public:
  explicit MemoryFile(std::size_t bytes) : descriptor_(::memfd_create("bench", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw_errno("memfd_create");
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) throw_errno("ftruncate of a memfd");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace bench

// Memory that the kernel takes out of a process: swap that the machine has, or a small file of the test's own for as
// long as an object lives, where the test may do that.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "cow/cow.hpp"

namespace cow::test {

/// Asks the kernel to take a range's memory; what is in use, or has nowhere to go, stays. Changes no content.
inline bool swap_out(const void* memory, std::size_t size) {
  return ::madvise(const_cast<void*>(memory), size, MADV_PAGEOUT) == 0;
}
inline void swap_out(const Arena& arena) { (void)swap_out(arena.data(), arena.capacity()); }

/// By the process's own page table; mincore() counts what is on its way out as there.
inline bool is_swapped_out(const void* page) {
  constexpr std::uint64_t swapped = std::uint64_t{1} << 62;
  std::uint64_t entry = 0;
  const int table = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const auto number = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(page) / page_size());
  const ssize_t read = ::pread(table, &entry, sizeof entry, number * static_cast<off_t>(sizeof entry));
  if (table != -1) ::close(table);
  return read == sizeof entry && (entry & swapped) != 0;
}

class Swap {
 public:
  Swap() {
    if (takes_pages()) return;
    make_file();
    if (reason_.empty() && !takes_pages()) reason_ = "the kernel swaps nothing out when it is asked to";
  }
  Swap(const Swap&) = delete;
  Swap& operator=(const Swap&) = delete;
  ~Swap() {
    if (path_.empty()) return;
    ::swapoff(path_.c_str());
    ::unlink(path_.c_str());
  }

  explicit operator bool() const { return reason_.empty(); }
  /// Why nothing can be swapped out here.
  const std::string& reason() const { return reason_; }

 private:
  static constexpr std::size_t file_bytes = std::size_t{16} << 20;

  /// Whether a page that was asked for is gone.
  static bool takes_pages() {
    void* const memory = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    std::memset(memory, 1, page_size());
    const bool gone = swap_out(memory, page_size()) && is_swapped_out(memory);
    ::munmap(memory, page_size());
    return gone;
  }

  /// What mkswap(8) writes: a header in the first page, its mark at the end of that.
  static std::vector<char> header() {
    std::vector<char> page(page_size());
    const std::uint32_t version = 1, last_page = static_cast<std::uint32_t>(file_bytes / page_size() - 1);
    std::memcpy(page.data() + 1024, &version, sizeof version);
    std::memcpy(page.data() + 1028, &last_page, sizeof last_page);
    std::memcpy(page.data() + page.size() - 10, "SWAPSPACE2", 10);
    return page;
  }

  /// A file without holes, as swapon() wants it; not where files are in memory themselves.
  void make_file() {
    const char* const folder = std::getenv("TMPDIR");
    std::string path = std::string(folder == nullptr ? "/tmp" : folder) + "/cow_swap_XXXXXX";
    const int file = ::mkostemp(path.data(), O_CLOEXEC);
    if (file == -1) return void(reason_ = "no file can be made for swap");
    std::vector<char> content(file_bytes);
    const std::vector<char> first = header();
    std::memcpy(content.data(), first.data(), first.size());
    const bool written = ::write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
    ::fsync(file);
    ::close(file);
    if (written && ::swapon(path.c_str(), 0) == 0) return void(path_ = path);
    reason_ = std::string("there is no swap, and none can be had: ") + std::strerror(errno);
    ::unlink(path.c_str());
  }

  std::string path_, reason_;
};

}  // namespace cow::test

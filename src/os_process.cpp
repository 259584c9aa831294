// Layer 1: which process this is, and what it may have. Set up once, outside the signal handler; the
// generation itself is two loads and may be asked anywhere.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>

#include "os.hpp"

namespace cow::os {
namespace {

// One word of memory that the kernel zeroes in a fork() child (MADV_WIPEONFORK, Linux 4.14), and the last
// generation handed out, which a child inherits: a child finds 0 in the word and takes the next number.
std::atomic<std::uint64_t>* generation_word = nullptr;
std::atomic<std::uint64_t> last_generation{0};

}  // namespace

Error watch_for_forks() noexcept {
  if (generation_word != nullptr) return {};
  Result<void*> memory = reserve_books(page_size());
  if (!memory) return memory.error;
  if (::madvise(memory.value, page_size(), MADV_WIPEONFORK) != 0) {
    const Error error{errno};
    unmap(memory.value, page_size());
    return error;
  }
  generation_word = static_cast<std::atomic<std::uint64_t>*>(memory.value);
  return {};
}

std::uint64_t process_generation() noexcept {
  if (generation_word == nullptr) return 0;
  std::uint64_t mine = generation_word->load(std::memory_order_relaxed);
  if (mine == 0) {
    const std::uint64_t next = last_generation.fetch_add(1, std::memory_order_relaxed) + 1;
    if (generation_word->compare_exchange_strong(mine, next)) mine = next;
  }
  return mine;
}

std::size_t page_size() noexcept {
  static const std::size_t size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

std::size_t resident_bytes(void* at, std::size_t bytes) noexcept {
  unsigned char resident[4096];
  const std::size_t page = page_size();
  std::size_t pages = 0;
  for (std::size_t done = 0; done < bytes; done += sizeof resident * page) {
    const std::size_t part = std::min(bytes - done, sizeof resident * page);
    if (::mincore(static_cast<std::byte*>(at) + done, part, resident) != 0) continue;
    for (std::size_t i = 0; i < (part + page - 1) / page; ++i) pages += resident[i] & 1;
  }
  return pages * page;
}

std::size_t mapping_limit() noexcept {
  static const std::size_t limit = [] {
    char text[32] = {};
    const int fd = ::open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd == -1 ? 0 : ::read(fd, text, sizeof text);
    if (fd != -1) ::close(fd);
    std::size_t value = 65530;  // the kernel's default
    if (length > 0) std::from_chars(text, text + length, value);
    return value;
  }();
  return limit;
}

}  // namespace cow::os

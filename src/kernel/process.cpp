// What the process has and may have. Outside the signal handler only.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>

#include "kernel/os.hpp"

namespace cow::os {

std::uint64_t machine_memory_bytes() noexcept {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * page_size();
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

std::uint64_t allocated_bytes(const Descriptor& file) noexcept {
  struct stat status {};
  constexpr std::uint64_t bytes_in_block = 512;  // whatever the page size: stat(2)
  if (!still_ours(file) || ::fstat(file.number, &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * bytes_in_block;
}

namespace {
std::size_t ask_mapping_limit() noexcept {
  char text[32] = {};
  // Not by libc's open() and read(): a thread may be cancelled in those.
  const int fd =
      static_cast<int>(::syscall(SYS_openat, AT_FDCWD, "/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0));
  const long length = fd == -1 ? 0 : ::syscall(SYS_read, fd, text, sizeof text);
  if (fd != -1) (void)::syscall(SYS_close, fd);
  std::size_t value = 65530;  // the kernel's default
  if (length > 0) std::from_chars(text, text + length, value);
  return value;
}
}  // namespace

std::size_t mapping_limit() noexcept {
  // Not a static that is initialized once: a fork() child would wait for ever for a thread that was at it.
  static std::atomic<std::size_t> known{0};
  std::size_t limit = known.load(std::memory_order_relaxed);
  if (limit == 0) known.store(limit = ask_mapping_limit(), std::memory_order_relaxed);
  return limit;
}

}  // namespace cow::os

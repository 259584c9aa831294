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

// Not by libc's open() and read(): a thread may be cancelled in those.
int open_to_look(const char* path, int how) noexcept {
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, how | O_CLOEXEC, 0));
}

/// 0 where nobody tells, as now that there is no descriptor left.
std::size_t ask_mapping_limit() noexcept {
  char text[32] = {};
  const int fd = open_to_look("/proc/sys/vm/max_map_count", O_RDONLY);
  const long length = fd == -1 ? 0 : ::syscall(SYS_read, fd, text, sizeof text);
  if (fd != -1) (void)::syscall(SYS_close, fd);
  std::size_t value = 0;
  if (length > 0) std::from_chars(text, text + length, value);
  return value;
}

}  // namespace

Error no_descriptor_left() noexcept {
  const int fd = open_to_look("/", O_PATH);
  if (fd == -1) return {errno == EMFILE || errno == ENFILE ? errno : 0};
  (void)::syscall(SYS_close, fd);
  return {};
}

std::size_t mapping_limit() noexcept {
  constexpr std::size_t kernels_default = 65530;
  // Not a static that is initialized once: a fork() child would wait for ever for a thread that was at it.
  static std::atomic<std::size_t> known{0};
  std::size_t limit = known.load(std::memory_order_relaxed);
  if (limit == 0) known.store(limit = ask_mapping_limit(), std::memory_order_relaxed);
  return limit == 0 ? kernels_default : limit;
}

}  // namespace cow::os

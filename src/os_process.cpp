// Layer 1: what the process has and may have. Outside the signal handler only.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "os.hpp"

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
// Moves the file's position, and puts it back: who looks for its mark in between asks fstat(2) instead.
Result<std::uint64_t> seek(const Descriptor& file, std::uint64_t from, int to) noexcept {
  if (!still_ours(file)) return {0, {EBADF}};
  const off_t found = ::lseek(file.number, static_cast<off_t>(from), to);
  const Error error{found == -1 ? errno : 0};
  (void)::lseek(file.number, file.position, SEEK_SET);
  return {static_cast<std::uint64_t>(found), error};
}
}  // namespace

Result<std::uint64_t> next_allocated(const Descriptor& file, std::uint64_t from) noexcept {
  return seek(file, from, SEEK_DATA);
}
Result<std::uint64_t> next_hole(const Descriptor& file, std::uint64_t from) noexcept {
  return seek(file, from, SEEK_HOLE);
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

// See kernel/pagemap.hpp. The kernel's own headers may be older than what is asked for here (Linux 6.7).
#include "kernel/pagemap.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kernel/ask.hpp"
#include "kernel/memory_sanitizer.hpp"

namespace cow::os {
namespace {

struct ScanRequest {  // struct pm_scan_arg
  std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct Region {  // struct page_region
  std::uint64_t start, end, categories;
};
constexpr unsigned long pagemap_scan = _IOWR('f', 16, ScanRequest);
constexpr std::uint64_t protect_matching = 1, check_async = 2;
constexpr std::uint64_t is_written = 1 << 1, is_file = 1 << 2, is_present = 1 << 3, is_swapped = 1 << 4;
constexpr std::uint64_t feature_unpopulated = 1 << 13, feature_async = 1 << 15;

constexpr std::size_t regions_at_once = 256;

Result<Scanned> scan(const Descriptor& pagemap, ScanRequest request, AddressRun* found, std::size_t most) noexcept {
  if (!still_ours(pagemap)) return {{}, {EBADF}};
  Region regions[regions_at_once];
  request.size = sizeof request;
  request.vec = reinterpret_cast<std::uintptr_t>(regions);
  request.vec_len = most < regions_at_once ? most : regions_at_once;
  const long count = ask(SYS_ioctl, pagemap.number, pagemap_scan, &request);
  if (count == -1) return {{}, {errno}};
  memory_sanitizer::has_content(regions, static_cast<std::size_t>(count) * sizeof(Region));
  for (long i = 0; i < count; ++i) {
    found[i] = {regions[i].start, regions[i].end, (regions[i].categories & is_swapped) == 0};
  }
  return {{request.walk_end, static_cast<std::size_t>(count)}, {}};
}

}  // namespace

Result<Descriptor> open_pagemap() noexcept {
  return open_high([] { return ask(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC); });
}

Result<Descriptor> open_async_userfaultfd() noexcept {
  return open_userfaultfd_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP | feature_wp_shared | feature_unpopulated |
                               feature_async);
}

Result<Scanned> scan_and_protect(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end, AddressRun* found,
                                 std::size_t most) noexcept {
  ScanRequest request{};
  request.flags = protect_matching | check_async;
  request.start = begin;
  request.end = end;
  // Nothing else is asked for: then the kernel looks at no page, only at the table (1.4 ns an entry; 30 with a page).
  request.category_mask = request.return_mask = is_written;
  return scan(pagemap, request, found, most);
}

Result<Scanned> scan_written(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end, AddressRun* found,
                             std::size_t most) noexcept {
  ScanRequest request{};
  request.flags = check_async;
  request.start = begin;
  request.end = end;
  request.category_mask = request.return_mask = is_written;
  return scan(pagemap, request, found, most);
}

Result<Scanned> scan_private(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end, AddressRun* found,
                             std::size_t most) noexcept {
  ScanRequest request{};
  request.start = begin;
  request.end = end;
  request.category_inverted = is_file;
  request.category_mask = is_file | is_present;
  return scan(pagemap, request, found, most);
}

Result<Scanned> scan_private_or_absent(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end,
                                       AddressRun* found, std::size_t most) noexcept {
  ScanRequest request{};
  request.start = begin;
  request.end = end;
  request.category_inverted = request.category_mask = is_file;
  request.category_anyof_mask = is_present | is_swapped;
  request.return_mask = is_swapped;
  return scan(pagemap, request, found, most);
}

Error drop_private(void* at, std::size_t bytes) noexcept {
  return failed_if(ask(SYS_madvise, at, bytes, MADV_DONTNEED) == -1);
}

}  // namespace cow::os

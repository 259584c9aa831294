// Which pages of private mappings were written, as the kernel alone knows it: Linux 6.7's PAGEMAP_SCAN, and a
// userfaultfd whose write protection the kernel lifts by itself (WP_ASYNC). Knows nothing of arenas.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"

namespace cow::os {

/// A run of addresses that a scan has found.
struct AddressRun {
  std::uintptr_t begin = 0, end = 0;
  bool in_memory = true;  // by scans that say so
};

/// The part of a range that a scan got through, and how many runs it found there.
struct Scanned {
  std::uintptr_t up_to = 0;
  std::size_t runs = 0;
};

/// This process's page table to ask of. EACCES: the process is not dumpable; ENOENT: there is no /proc.
Result<Descriptor> open_pagemap() noexcept;

/// A userfaultfd that reports nothing: a store to a protected page is let through by the kernel, which notes it.
/// EINVAL: before Linux 6.7.
Result<Descriptor> open_async_userfaultfd() noexcept;

/// Which pages of a range, all of it registered, were written since it was protected last; those that were found are
/// protected again in the same walk. Pages without an entry, and without a protection of their own, count as written.
Result<Scanned> scan_and_protect(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end, AddressRun* found,
                                 std::size_t most) noexcept;
/// The same, and changes nothing.
Result<Scanned> scan_written(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end, AddressRun* found,
                             std::size_t most) noexcept;
/// Which pages of a range of private file mappings are no longer the file's, and in memory.
Result<Scanned> scan_private(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end, AddressRun* found,
                             std::size_t most) noexcept;
/// The same, and in the same walk which have an entry but are not in memory: private ones that were swapped out, or are
/// on the way from one place to another, and protected ones that are not the mapping's yet. Reading a byte tells them
/// apart.
Result<Scanned> scan_private_or_absent(const Descriptor& pagemap, std::uintptr_t begin, std::uintptr_t end,
                                       AddressRun* found, std::size_t most) noexcept;

/// Takes the private pages away, so that those of the file show again.
Error drop_private(void* at, std::size_t bytes) noexcept;

}  // namespace cow::os

// What a program may have asked of memory that is mapped, mlock(2) and mbind(2), and that a new mapping in its place
// would forget. Raw system calls; may run in the signal handler.
#pragma once

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "kernel/os.hpp"

namespace cow::os {

/// What mbind(2) asked for. The kernel keeps it by the place in the memory file, so that a page that moves loses it.
class MemoryPolicy {
 public:
  explicit MemoryPolicy(void* at) noexcept {
    if (::syscall(SYS_get_mempolicy, &mode_, nodes_, most_nodes, at, MPOL_F_ADDR) == -1) mode_ = MPOL_DEFAULT;
  }
  /// Memory that is there already goes along, as far as that can be.
  void set(void* at, std::size_t bytes) const noexcept {
    if (mode_ == MPOL_DEFAULT) return;
    (void)::syscall(SYS_mbind, at, bytes, mode_, nodes_, most_nodes, MPOL_MF_MOVE);
  }

 private:
  static constexpr std::size_t most_nodes = 1024, bits_in_word = 8 * sizeof(unsigned long);  // CONFIG_NODES_SHIFT

  int mode_ = MPOL_DEFAULT;
  unsigned long nodes_[most_nodes / bits_in_word];
};

/// Which parts of a range are locked into memory; all between, where there are very many.
class LockedParts {
 public:
  LockedParts(void* at, std::size_t bytes) noexcept { look(static_cast<std::byte*>(at), bytes); }
  void lock_again() const noexcept {
    for (std::size_t i = 0; i < count_; ++i) lock_where_touched(parts_[i].at, parts_[i].bytes);
  }

 private:
  struct Part {
    std::byte* at;
    std::size_t bytes;
  };
  static constexpr std::size_t most = 16;

  // The kernel only says whether any page is.
  void look(std::byte* at, std::size_t bytes) noexcept {
    if (!is_locked(at, bytes)) return;
    const std::size_t half = bytes / page_size() / 2 * page_size();
    if (half == 0) return add(at, bytes);
    look(at, half);
    look(at + half, bytes - half);
  }
  void add(std::byte* at, std::size_t bytes) noexcept {
    const bool goes_on = count_ != 0 && parts_[count_ - 1].at + parts_[count_ - 1].bytes == at;
    if (!goes_on && count_ < most) parts_[count_++] = {at, 0};
    parts_[count_ - 1].bytes = static_cast<std::size_t>(at - parts_[count_ - 1].at) + bytes;
  }

  Part parts_[most];
  std::size_t count_ = 0;
};

/// What the program asked of a range, which a new mapping in its place would forget.
class AskedOfMapping {
 public:
  AskedOfMapping(void* at, std::size_t bytes) noexcept : at_(at), bytes_(bytes), policy_(at), locked_(at, bytes) {}
  void ask_again() const noexcept {
    policy_.set(at_, bytes_);
    locked_.lock_again();
  }

 private:
  void* at_;
  std::size_t bytes_;
  MemoryPolicy policy_;
  LockedParts locked_;
};

}  // namespace cow::os

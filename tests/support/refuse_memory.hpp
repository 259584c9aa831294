// A process for which the kernel has no memory any more, from some moment on, for good: a seccomp filter.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace cow::test {

/// From here on the calls fail with that errno. Cannot be undone. False where the sandbox allows no filters.
template <std::size_t Count>
bool refuse_calls_from_now_on(const std::uint32_t (&refused)[Count], int error) {
  sock_filter program[Count + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (std::size_t i = 0; i < Count; ++i) {
    program[i + 1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], static_cast<std::uint8_t>(Count - i), 0);
  }
  program[Count + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[Count + 2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
  const sock_fprog filter = {static_cast<unsigned short>(Count + 3), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

enum class Protection { refused, granted };

/// From here on each call that asks for memory, mappings or (unless granted) protection fails with ENOMEM. Cannot be
/// undone. False where the sandbox allows no filters.
inline bool refuse_memory_from_now_on(Protection protection = Protection::refused) {
  ::mallopt(M_MMAP_THRESHOLD, 64 << 20);  // the C library goes on with brk(), which is left alone
  constexpr std::uint32_t memory = SYS_mmap;
  const bool granted = protection == Protection::granted;
  const std::uint32_t refused[] = {memory, SYS_madvise, SYS_mremap, SYS_fallocate, SYS_pwrite64,
                                   granted ? memory : SYS_mprotect, granted ? memory : SYS_ioctl};
  return refuse_calls_from_now_on(refused, ENOMEM);
}

}  // namespace cow::test

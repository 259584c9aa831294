// What a machine says about a fault: was it a write, and did the kernel write its record? Reads what the
// handler was given, nothing else.
#pragma once

#include <ucontext.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cow {

enum class FaultAccess { read, write, unknown };

/// x86-64: bit 1 of the page fault's error code is set for writes (6 and 7 are seen for them), also for a lock cmpxchg
/// that would fail.
constexpr FaultAccess x86_access(std::uint64_t error_code) noexcept {
  return (error_code & 2) != 0 ? FaultAccess::write : FaultAccess::read;
}

/// aarch64: a list of records behind the registers, each with a magic number and its size, ends with magic 0. The
/// one of the exception syndrome (ESR) has bit 6, WnR, set for writes. Old kernels leave it out. From the kernel's
/// asm/sigcontext.h and the Arm ARM, D17.2.37.
inline FaultAccess aarch64_access(const unsigned char* records, std::size_t bytes) noexcept {
  constexpr std::uint32_t esr_magic = 0x45535201;
  constexpr std::size_t head_bytes = 8;
  for (std::size_t at = 0; at + head_bytes <= bytes;) {
    std::uint32_t magic = 0, size = 0;
    std::memcpy(&magic, records + at, sizeof magic);
    std::memcpy(&size, records + at + 4, sizeof size);
    if (magic == 0 || size < head_bytes || size > bytes - at) break;
    if (magic == esr_magic && size >= head_bytes + 8) {
      std::uint64_t esr = 0;
      std::memcpy(&esr, records + at + head_bytes, sizeof esr);
      return (esr & (1u << 6)) != 0 ? FaultAccess::write : FaultAccess::read;
    }
    at += size;
  }
  return FaultAccess::unknown;
}

inline FaultAccess fault_access(const void* ucontext) noexcept {
  const ucontext_t* context = static_cast<const ucontext_t*>(ucontext);
  if (context == nullptr) return FaultAccess::unknown;
#if defined(__x86_64__)
  return x86_access(static_cast<std::uint64_t>(context->uc_mcontext.gregs[REG_ERR]));
#elif defined(__aarch64__)
  return aarch64_access(reinterpret_cast<const unsigned char*>(context->uc_mcontext.__reserved),
                        sizeof context->uc_mcontext.__reserved);
#else
#error "cow knows the fault contexts of x86-64 and aarch64"
#endif
}

/// The stack pointer of what was interrupted.
inline std::uintptr_t interrupted_stack(const void* ucontext) noexcept {
  const ucontext_t* context = static_cast<const ucontext_t*>(ucontext);
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(context->uc_mcontext.gregs[REG_RSP]);
#else
  return static_cast<std::uintptr_t>(context->uc_mcontext.sp);
#endif
}

/// Whether what was interrupted had the signals blocked that arrive on their own, as whoever holds a fault lock has.
inline bool interrupted_with_signals_blocked(const void* ucontext) noexcept {
  constexpr auto bit = [](int signo) { return std::uint64_t{1} << (signo - 1); };
  constexpr std::uint64_t some_of_them = bit(SIGALRM) | bit(SIGPROF) | bit(SIGTERM) | bit(SIGUSR1);
  std::uint64_t mask = 0;  // as large as the kernel's
  std::memcpy(&mask, &static_cast<const ucontext_t*>(ucontext)->uc_sigmask, sizeof mask);
  return (mask & some_of_them) == some_of_them;
}

/// A handler installed without SA_SIGINFO gets no record: on x86-64 the place for one holds what an earlier signal left
/// there, on aarch64 the argument is whatever was in the register. False where that may be so. `frame` is the handler's
/// stack pointer before its call: __builtin_dwarf_cfa().
inline bool record_is_whole(int signo, const siginfo_t* info, [[maybe_unused]] const void* ucontext,
                            [[maybe_unused]] const void* frame) noexcept {
#if defined(__x86_64__)
  const greg_t address = static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_CR2];
  return info->si_signo == signo && reinterpret_cast<greg_t>(info->si_addr) == address;
#else
  return info == frame && info->si_signo == signo;  // the kernel's frame begins with the record
#endif
}

/// So that a later signal without a record cannot pass for one with this. Only where the kernel itself has called the
/// handler: nobody else looks at it then.
inline void forget_record([[maybe_unused]] siginfo_t* info, [[maybe_unused]] const void* ucontext,
                          [[maybe_unused]] const void* frame) noexcept {
#if defined(__x86_64__)
  if (ucontext == frame) info->si_signo = 0;  // above the return address the kernel's frame begins with the context
#endif
}

}  // namespace cow

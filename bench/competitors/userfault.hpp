// A userfaultfd in SIGBUS mode with write-protection over one range: the bare kernel interface, no policy.
#pragma once

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "competitors/memory.hpp"
#include "trial.hpp"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace bench {

class Userfault {
 public:
  Userfault(std::byte* base, std::size_t bytes)
      : descriptor_(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY))) {
    if (descriptor_ < 0) throw NotAvailable("userfaultfd is refused here");
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP;
    if (::ioctl(descriptor_, UFFDIO_API, &api) != 0) throw NotAvailable("userfaultfd has no SIGBUS mode here");
    uffdio_register range{};
    range.range = {reinterpret_cast<std::uint64_t>(base), bytes};
    range.mode = UFFDIO_REGISTER_MODE_WP;
    if (::ioctl(descriptor_, UFFDIO_REGISTER, &range) != 0) throw NotAvailable("userfaultfd cannot protect here");
  }
  Userfault(const Userfault&) = delete;
  Userfault& operator=(const Userfault&) = delete;
  ~Userfault() { ::close(descriptor_); }

  /// Async-signal-safe.
  bool protect(const std::byte* base, std::size_t bytes, bool on) const noexcept {
    uffdio_writeprotect request{};
    request.range = {reinterpret_cast<std::uint64_t>(base), bytes};
    request.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
    return ::ioctl(descriptor_, UFFDIO_WRITEPROTECT, &request) == 0;
  }

 private:
  int descriptor_;
};

}  // namespace bench

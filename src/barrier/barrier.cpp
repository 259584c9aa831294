// Which barrier an arena gets.
#include "barrier/barrier.hpp"

#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include "kernel/pagemap.hpp"

namespace cow {
namespace {

/// A lack of descriptors or memory passes: that is for whoever makes the arena to meet.
bool passes(os::Error answer) noexcept {
  return answer.code == EMFILE || answer.code == ENFILE || answer.code == ENOMEM;
}

/// What the kernel says to a means, asked once.
class Refusal {
 public:
  using Probe = os::Error (*)();
  explicit constexpr Refusal(Probe probe) noexcept : probe_(probe) {}

  os::Error ask() noexcept {
    if (const int code = known_.load(std::memory_order_relaxed); code != -1) return {code};
    const os::Error answer = probe_();
    if (passes(answer)) return {};
    known_.store(answer.code, std::memory_order_relaxed);
    return answer;
  }

 private:
  Probe probe_;
  std::atomic<int> known_{-1};
};

os::Error probe(os::Result<os::Descriptor> (*open)()) noexcept {
  const os::Result<os::Descriptor> file = open();
  os::close_file(file.value);
  return file.error;
}

/// Why userfaultfd cannot be had here: a seccomp profile (Docker's default one), gVisor, or an old kernel.
constinit Refusal of_userfaultfd{[] { return probe([] { return os::open_userfaultfd(); }); }};
constinit Refusal of_async{[] { return probe([] { return os::open_async_userfaultfd(); }); }};
/// Not once for all: setuid() and prctl() change whether a process may look at its own page table.
os::Error refusal_of_pagemap() noexcept {
  const os::Result<os::Descriptor> file = os::open_pagemap();
  os::Error answer = file.error;
  if (!answer) {
    os::AddressRun none;  // of an empty range: a sandbox may refuse to scan
    answer = os::scan_written(file.value, os::page_size(), os::page_size(), &none, 1).error;
  }
  os::close_file(file.value);
  return passes(answer) ? os::Error{} : answer;
}

[[noreturn]] void refuse(os::Error error, const char* what) {
  throw std::system_error(error.code, std::generic_category(),
                          std::string("cow: ") + what + "; Barrier::automatic falls back to what there is");
}

}  // namespace

bool kernel_barrier_exists() noexcept { return !of_async.ask() && !refusal_of_pagemap(); }

const WriteBarrier& best_with_signals() noexcept {
  return of_userfaultfd.ask() ? mprotect_barrier : userfaultfd_barrier;
}

const WriteBarrier& plain_until_first_cut(const WriteBarrier& barrier) noexcept {
  if (&barrier == &mprotect_barrier) return plain_until_mprotect;
  return &barrier == &userfaultfd_barrier ? plain_until_userfaultfd : barrier;
}

const WriteBarrier& choose_barrier(Barrier asked, bool quiet) {
  switch (asked) {
    case Barrier::mprotect: return mprotect_barrier;
    case Barrier::automatic: return quiet && kernel_barrier_exists() ? kernel_barrier : best_with_signals();
    case Barrier::userfaultfd:
      if (const os::Error error = of_userfaultfd.ask()) {
        refuse(error,
               "Barrier::userfaultfd needs userfaultfd's write-protection of shared memory (Linux 5.19, and a sandbox "
               "that allows it)");
      }
      return userfaultfd_barrier;
    case Barrier::kernel:
      if (const os::Error error = of_async.ask()) {
        refuse(error,
               "Barrier::kernel needs userfaultfd's asynchronous write-protection (Linux 6.7, and a sandbox that allows "
               "it)");
      }
      if (const os::Error error = refusal_of_pagemap()) {
        refuse(error,
               "Barrier::kernel needs /proc/self/pagemap (a /proc, and a process that may be dumped: not after setuid)");
      }
      return kernel_barrier;
  }
  throw std::invalid_argument("cow: an unknown barrier");
}

}  // namespace cow

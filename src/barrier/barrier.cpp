// Which barrier an arena gets.
#include "barrier/barrier.hpp"

#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace cow {
namespace {

/// Why userfaultfd cannot be had here: a seccomp profile (Docker's default one), gVisor, or an old kernel.
os::Error probe() noexcept {
  const os::Result<os::Descriptor> file = os::open_userfaultfd();
  os::close_file(file.value);
  return file.error;
}

/// Asked once, but a lack of descriptors or memory passes: that is for whoever makes the arena to meet.
os::Error final_refusal() noexcept {
  static std::atomic<int> known{-1};
  if (const int code = known.load(std::memory_order_relaxed); code != -1) return {code};
  const os::Error answer = probe();
  if (answer.code == EMFILE || answer.code == ENFILE || answer.code == ENOMEM) return {};
  known.store(answer.code, std::memory_order_relaxed);
  return answer;
}

}  // namespace

const WriteBarrier& choose_barrier(Barrier asked) {
  const os::Error refusal = final_refusal();
  switch (asked) {
    case Barrier::mprotect: return mprotect_barrier;
    case Barrier::automatic: return refusal ? mprotect_barrier : userfaultfd_barrier;
    case Barrier::userfaultfd:
      if (!refusal) return userfaultfd_barrier;
      throw std::system_error(
          refusal.code, std::generic_category(),
          "cow: userfaultfd write-protection of shared memory (Linux 5.19, and a sandbox that allows it); "
          "Barrier::automatic falls back to mprotect");
  }
  throw std::invalid_argument("cow: an unknown barrier");
}

}  // namespace cow

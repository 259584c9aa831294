// A descriptor that all arenas of the process share: opened when it is first wanted, and anew in a fork() child and
// where the program has closed it.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/os.hpp"

namespace cow {

class SharedDescriptor {
 public:
  /// `open` opens a new one, if one is needed. Not in the signal handler.
  template <class Open>
  os::Result<os::Descriptor> get(Open&& open) noexcept {
    const std::uint64_t generation = os::process_generation();
    const os::AsyncSignalsBlocked blocked;
    const OneAtATime held(opener_, generation);
    if (generation_ == generation && file_.number != -1 && os::still_ours(file_)) return {file_, {}};
    const os::Result<os::Descriptor> file = open();
    if (!file) return file;
    file_ = file.value;
    generation_ = generation;
    return file;
  }

 private:
  /// One thread opens at a time. A fork() child finds its parent's number in the lock, if anything, which says nothing.
  class OneAtATime {
   public:
    OneAtATime(std::atomic<std::uint64_t>& opener, std::uint64_t generation) noexcept : opener_(opener) {
      for (;;) {
        std::uint64_t other = opener_.load(std::memory_order_relaxed);
        if (other != generation && opener_.compare_exchange_weak(other, generation, std::memory_order_acquire)) return;
        os::let_others_run();
      }
    }
    ~OneAtATime() { opener_.store(0, std::memory_order_release); }
    OneAtATime(const OneAtATime&) = delete;
    OneAtATime& operator=(const OneAtATime&) = delete;

   private:
    std::atomic<std::uint64_t>& opener_;
  };

  std::atomic<std::uint64_t> opener_{0};
  os::Descriptor file_;
  std::uint64_t generation_ = 0;
};

}  // namespace cow

// A lock for what is set up once, or switched, outside the handler. In a fork() child it is free: whoever held it in
// the parent is not there. So what it covers must be right wherever its holder has stopped.
#pragma once

#include <atomic>

#include "kernel/os.hpp"

namespace cow {

class ProcessLock {
 public:
  void lock() noexcept {
    const int self = os::process_id();
    for (int holder = 0; !holder_.compare_exchange_weak(holder, self, std::memory_order_acquire);) {
      if (holder == self) os::let_others_run(), holder = 0;
      // Else it is free, or the holder's process is another one: it is taken over from that.
    }
  }
  void unlock() noexcept { holder_.store(0, std::memory_order_release); }

 private:
  std::atomic<int> holder_{0};  // a process
};

}  // namespace cow

// A forked child that sleeps and so keeps the content of its birth. Reaped when destroyed.
#pragma once

#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "bound_child.hpp"
#include "competitors/memory.hpp"

namespace bench {

class SleepingChild {
 public:
  SleepingChild() : pid_(fork_bound_child()) {
    if (pid_ < 0) throw_errno("fork");
    if (pid_ == 0) sleep_until_killed();
  }
  SleepingChild(SleepingChild&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  SleepingChild& operator=(SleepingChild other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~SleepingChild() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  /// What the child's memory holds at an address; the child takes no part in it.
  std::uint64_t word_at(const std::byte* address) const {
    std::uint64_t word = 0;
    const iovec here{&word, sizeof word};
    const iovec there{const_cast<std::byte*>(address), sizeof word};
    if (::process_vm_readv(pid_, &here, 1, &there, 1, 0) != sizeof word) throw_errno("process_vm_readv");
    return word;
  }

 private:
  [[noreturn]] static void sleep_until_killed() {
    for (;;) ::pause();
  }

  pid_t pid_;
};

}  // namespace bench

// A page that no arena owns and that cannot be touched: what faults that are not ours are made with.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>

#include <sys/mman.h>

#include "cow/cow.hpp"

namespace cow::test {

class ForeignPage {
 public:
  ForeignPage() : memory_(::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ForeignPage(const ForeignPage&) = delete;
  ForeignPage& operator=(const ForeignPage&) = delete;
  ~ForeignPage() { ::munmap(memory_, page_size()); }

  void* address() const { return memory_; }
  volatile std::uint64_t& word() const { return *static_cast<volatile std::uint64_t*>(memory_); }
  /// Async-signal-safe.
  void open() const { ::mprotect(memory_, page_size(), PROT_READ | PROT_WRITE); }
  void shut() const { ::mprotect(memory_, page_size(), PROT_NONE); }

 private:
  void* memory_;
};

using InfoHandler = void (*)(int, siginfo_t*, void*);
using PlainHandler = void (*)(int);

/// Returns what was there before.
inline struct sigaction set_handler(InfoHandler handler, int flags = 0, int also_masked = 0) {
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | flags;
  if (also_masked != 0) sigaddset(&action.sa_mask, also_masked);
  ::sigaction(SIGSEGV, &action, &before);
  return before;
}
inline void set_handler(PlainHandler handler, int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigaction(SIGSEGV, &action, nullptr);
}

inline bool is_blocked(int signo) {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, signo) == 1;
}

}  // namespace cow::test

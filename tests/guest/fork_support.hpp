// A fork() during which another thread does something: after the library's cut, before the kernel's copy. And the
// stranger who makes that possible: a handler of pthread_atfork() that was registered before the library's.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"

namespace cow::test {

/// What the stranger does, each where its side of fork() comes. Prepare handlers run last in, first out.
struct Stranger {
  std::function<void()> before, after;
};
Stranger& stranger();

/// Holds the stranger's mutex, and does `deed` with it once a fork() has made its cut; the stranger wants the mutex
/// then.
class Meanwhile {
 public:
  explicit Meanwhile(std::function<void()> deed);
  ~Meanwhile();
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

 private:
  std::mutex foreign_;
  std::atomic<bool> has_lock_{false}, go_{false};
  std::thread thread_;
};

/// Forks; the child leaves with what `body` says. Its exit code, or -1.
int fork_and_wait(const std::function<int()>& body);

inline Barrier barrier_named(const std::string& name) {
  return name == name_of(Barrier::userfaultfd) ? Barrier::userfaultfd : Barrier::mprotect;
}

/// Far more than any of it takes, and less than a hang.
inline ChildResult run_in_time(const std::string& body, const std::string& argument) {
  return wait_for(start_child(body, argument), std::chrono::seconds(under_sanitizer ? 90 : 40));
}

}  // namespace cow::test

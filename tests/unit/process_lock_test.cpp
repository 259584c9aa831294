// Promise: a child of fork() takes a ProcessLock that a thread of its parent held; in one process it excludes.
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "kernel/process_lock.hpp"

namespace cow::test {
namespace {

TEST(ProcessLock, is_free_in_a_child_whoever_held_it) {
  static ProcessLock lock;
  std::atomic<bool> held{false}, done{false};
  std::thread holder([&] {
    const std::lock_guard guard(lock);
    held = true;
    while (!done) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(5);
    { const std::lock_guard guard(lock); }
    { const std::lock_guard guard(lock); }
    ::_exit(0);
  }
  done = true;
  holder.join();
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it waits for ever";
}

TEST(ProcessLock, excludes_the_threads_of_one_process) {
  ProcessLock lock;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 2000; ++n) {
        const std::lock_guard guard(lock);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 8000);
}

}  // namespace
}  // namespace cow::test

// See fork_support.hpp.
#include "guest/fork_support.hpp"

#include <cerrno>
#include <utility>

#include <pthread.h>

namespace cow::test {
namespace {

void before() {
  if (stranger().before) stranger().before();
}
void after() {
  if (stranger().after) stranger().after();
}

[[gnu::constructor(200)]] void come_before_the_library() { ::pthread_atfork(before, after, after); }

}  // namespace

Stranger& stranger() {
  static Stranger only;
  return only;
}

Meanwhile::Meanwhile(std::function<void()> deed) {
  const auto forking = std::this_thread::get_id();  // the deed may be a fork() too
  stranger().before = [this, forking] {
    if (std::this_thread::get_id() != forking) return;
    go_ = true;
    foreign_.lock();
  };
  stranger().after = [this, forking] {
    if (std::this_thread::get_id() == forking) foreign_.unlock();
  };
  thread_ = std::thread([this, deed = std::move(deed)] {
    const std::lock_guard guard(foreign_);
    has_lock_ = true;
    while (!go_) std::this_thread::yield();
    deed();
  });
  while (!has_lock_) std::this_thread::yield();
}

Meanwhile::~Meanwhile() {
  thread_.join();
  stranger() = {};
}

int fork_and_wait(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  while (::waitpid(child, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace cow::test

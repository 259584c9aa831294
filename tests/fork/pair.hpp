// A parent and its forked child that take turns.
#pragma once

#include <cerrno>
#include <cstdio>
#include <functional>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cow::test {

/// A pipe for single numbers, between any processes that inherit it.
class Channel {
 public:
  Channel() { EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  void send(int number) const {
    EXPECT_EQ(::write(ends_[1], &number, sizeof number), static_cast<ssize_t>(sizeof number));
  }
  /// -1 when nobody is left who could send.
  int wait() const {
    int number = -1;
    while (::read(ends_[0], &number, sizeof number) == -1 && errno == EINTR) {
    }
    return number;
  }
  bool uses(int fd) const { return fd == ends_[0] || fd == ends_[1]; }

 private:
  int ends_[2] = {-1, -1};
};

/// The child's side.
class Turn {
 public:
  Turn(const Channel& from_parent, const Channel& to_parent) : from_parent_(from_parent), to_parent_(to_parent) {}
  void wait() const { from_parent_.wait(); }
  void give() const { to_parent_.send(0); }
  bool uses(int fd) const { return from_parent_.uses(fd) || to_parent_.uses(fd); }

 private:
  const Channel& from_parent_;
  const Channel& to_parent_;
};

/// Forks; the child does the body and leaves with its result for an exit code. Destroying a pair kills the child.
class Pair {
 public:
  explicit Pair(const std::function<int(Turn&)>& body) {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    Turn turn(to_child_, to_parent_);
    ::_exit(body(turn));
  }
  explicit Pair(const std::function<int()>& body) : Pair([&](Turn&) { return body(); }) {}
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    finish();
  }

  void give_turn() const { to_child_.send(0); }
  void wait_for_turn() const { to_parent_.wait(); }
  pid_t pid() const { return pid_; }

  /// The exit code; 1000 and the signal if it died.
  int finish() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  Channel to_child_, to_parent_;
  pid_t pid_ = -1;
};

}  // namespace cow::test

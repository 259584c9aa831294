// What system calls read from in these tests: pipes and sockets that hold a text already.
#pragma once

#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cow::test {

/// Two connected descriptors; what is put in comes out at reading_end().
class Ends {
 public:
  static Ends pipe() {
    Ends ends;
    EXPECT_EQ(::pipe(ends.ends_), 0);
    return ends;
  }
  static Ends sockets(int type) {
    Ends ends;
    EXPECT_EQ(::socketpair(AF_UNIX, type, 0, ends.ends_), 0);
    return ends;
  }
  /// UDP over the loopback device; false in a sandbox without one.
  static Ends udp() {
    Ends ends;
    ends.ends_[0] = ::socket(AF_INET, SOCK_DGRAM, 0);
    ends.ends_[1] = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    sockaddr* const plain = reinterpret_cast<sockaddr*>(&address);
    ends.usable_ = ::bind(ends.ends_[0], plain, size) == 0 && ::getsockname(ends.ends_[0], plain, &size) == 0 &&
                   ::connect(ends.ends_[1], plain, size) == 0;
    return ends;
  }

  Ends(Ends&& other) noexcept : usable_(other.usable_) {
    for (int i : {0, 1}) ends_[i] = other.ends_[i], other.ends_[i] = -1;
  }
  Ends& operator=(Ends&&) = delete;
  ~Ends() {
    for (const int end : ends_)
      if (end != -1) ::close(end);
  }

  explicit operator bool() const { return usable_; }
  int reading_end() const { return ends_[0]; }
  int writing_end() const { return ends_[1]; }
  void put(const std::string& text) const {
    EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

 private:
  Ends() = default;

  int ends_[2] = {-1, -1};
  bool usable_ = true;
};

}  // namespace cow::test

// Limits of this process, lowered for as long as an object lives. What asks /proc must not run meanwhile: that needs a
// descriptor too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace cow::test {

class LoweredLimit {
 public:
  LoweredLimit(int resource, std::uint64_t value) : resource_(resource) {
    ::getrlimit(resource, &before_);
    const rlimit lowered = {value < before_.rlim_max ? value : before_.rlim_max, before_.rlim_max};
    ::setrlimit(resource, &lowered);
  }
  LoweredLimit(const LoweredLimit&) = delete;
  LoweredLimit& operator=(const LoweredLimit&) = delete;
  ~LoweredLimit() { ::setrlimit(resource_, &before_); }

 private:
  int resource_;
  rlimit before_ = {};
};

/// So many descriptors can still be opened.
class DescriptorsLeft {
 public:
  explicit DescriptorsLeft(std::size_t left) : limit_(RLIMIT_NOFILE, lowered_to) {
    for (int fd = open_one(); fd != -1; fd = open_one()) taken_.push_back(fd);
    for (; left != 0 && !taken_.empty(); --left) close_one();
  }
  DescriptorsLeft(const DescriptorsLeft&) = delete;
  DescriptorsLeft& operator=(const DescriptorsLeft&) = delete;
  ~DescriptorsLeft() {
    while (!taken_.empty()) close_one();
  }

 private:
  static constexpr std::uint64_t lowered_to = 128;
  static int open_one() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
  void close_one() {
    ::close(taken_.back());
    taken_.pop_back();
  }

  LoweredLimit limit_;
  std::vector<int> taken_;
};

}  // namespace cow::test

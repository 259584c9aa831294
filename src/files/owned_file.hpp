// A descriptor of ours that is closed with its owner.
#pragma once

#include <utility>

#include "kernel/os.hpp"

namespace cow::files {

class OwnedFile {
 public:
  OwnedFile() noexcept = default;
  explicit OwnedFile(const os::Descriptor& fd) noexcept : fd_(fd) {}
  OwnedFile(OwnedFile&& other) noexcept : fd_(other.release()) {}
  OwnedFile& operator=(OwnedFile&& other) noexcept {
    if (this != &other) {
      os::close_file(fd_);
      fd_ = other.release();
    }
    return *this;
  }
  ~OwnedFile() { os::close_file(fd_); }

  const os::Descriptor& get() const noexcept { return fd_; }
  os::Descriptor release() noexcept { return std::exchange(fd_, {}); }

 private:
  os::Descriptor fd_;
};

}  // namespace cow::files

// What an arena holds now, as a version, for the time of one operation.
#pragma once

#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "arena/take_version.hpp"

namespace cow {

/// A cut, and one handle on it. No lock is held; allocates nothing but by the books.
class CurrentVersion {
 public:
  explicit CurrentVersion(ArenaBooks& books) noexcept {
    const Operation operation(books);
    const os::Result<Version*> taken = take_version_or_error(books);
    version_ = taken.value, error_ = taken.error;
  }
  ~CurrentVersion() { release_version(version_); }
  CurrentVersion(const CurrentVersion&) = delete;
  CurrentVersion& operator=(const CurrentVersion&) = delete;

  os::Error error() const noexcept { return error_; }
  Version& version() const noexcept { return *version_; }

 private:
  Version* version_ = nullptr;
  os::Error error_;
};

}  // namespace cow

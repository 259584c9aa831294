// Where a path leads to: a directory, held open whatever the process's own becomes, and a name in it that is no link.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "files/owned_file.hpp"
#include "kernel/disk.hpp"

namespace cow::files {

struct Destination {
  OwnedFile directory;
  std::string name;
  std::optional<os::FileKind> old;  // the file that is there

  /// Follows links, also one to what is not there. Throws std::system_error, for what is no file that can be replaced
  /// too. `doing`: "saving to \"x\"".
  static Destination of(const std::filesystem::path& path, const std::string& doing);

  bool has(const os::Descriptor& file) const noexcept {
    return old && old->same_file(file);
  }
};

}  // namespace cow::files

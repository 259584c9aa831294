// What the tests of saved files share: a folder that goes away, files as bytes, arenas with something in them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/pages.hpp"

namespace cow::test {

/// A new folder, which goes with all that is in it.
class Folder {
 public:
  explicit Folder(const std::filesystem::path& in = std::filesystem::temp_directory_path()) {
    std::string name = (in / "cow-files-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

/// Where files cost no disk, if there is such a place.
inline std::filesystem::path memory_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void put_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline Painted painted(std::size_t pages, Barrier barrier = Barrier::mprotect) {
  ArenaOptions options;
  options.capacity = pages * page_size();
  options.name = "painted";
  options.barrier = barrier;
  return Painted(Arena(options));
}

inline SaveOptions unsynced() {
  SaveOptions options;
  options.sync = false;
  return options;
}

inline SaveOptions layer_on(Snapshot since, std::filesystem::path base) {
  SaveOptions options = unsynced();
  options.since = std::move(since);
  options.base = std::move(base);
  return options;
}

inline LoadOptions with_layers(std::vector<std::filesystem::path> layers, bool lazy = true) {
  LoadOptions options;
  options.layers = std::move(layers);
  options.lazy = lazy;
  return options;
}

}  // namespace cow::test

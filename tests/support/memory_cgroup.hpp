// A group of processes with a memory limit of its own: a cgroup of the kernel's, of version 1 or 2, made below where
// this process is or, as version 2 wants it, beside. Needs rights that only root or an owner of the group has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace cow::test {

class MemoryCgroup {
 public:
  /// Without a path where none can be made.
  static MemoryCgroup make() {
    for (const bool second : {false, true}) {
      const std::filesystem::path parent = second ? parent_in_version_2() : parent_in_version_1();
      if (parent.empty()) continue;
      const std::filesystem::path path = parent / ("cow_test_" + std::to_string(::getpid()));
      std::error_code error;
      MemoryCgroup group;
      if (!std::filesystem::create_directory(path, error)) continue;
      group.path_ = path;
      if (std::filesystem::exists(path / limit_files[second ? 1 : 0], error)) return group;
    }
    return {};
  }
  /// The one that another process has made.
  static MemoryCgroup at(std::string path) {
    MemoryCgroup group;
    group.path_ = std::move(path);
    group.owned_ = false;
    return group;
  }
  MemoryCgroup(MemoryCgroup&& other) noexcept : path_(std::exchange(other.path_, {})), owned_(other.owned_) {}
  MemoryCgroup& operator=(MemoryCgroup&&) = delete;
  /// All processes in it must have ended.
  ~MemoryCgroup() {
    if (!path_.empty() && owned_) ::rmdir(path_.c_str());
  }

  explicit operator bool() const { return !path_.empty(); }
  std::string path() const { return path_.string(); }

  /// Memory that is taken from now on counts.
  bool enter() const {
    // Swap would be a way out.
    (void)write("memory.swappiness", 0);
    (void)write("memory.swap.max", 0);
    return write("cgroup.procs", static_cast<std::uint64_t>(::getpid()));
  }
  /// From here on this much more can be had.
  bool leave(std::uint64_t bytes) const {
    for (const int version : {0, 1}) {
      std::ifstream file(path_ / usage_files[version]);
      std::uint64_t used = 0;
      if (file >> used) return write(limit_files[version], used + bytes);
    }
    return false;
  }

 private:
  static constexpr const char* limit_files[] = {"memory.limit_in_bytes", "memory.max"};
  static constexpr const char* usage_files[] = {"memory.usage_in_bytes", "memory.current"};

  MemoryCgroup() = default;

  bool write(const char* file, std::uint64_t value) const {
    std::ofstream stream(path_ / file);
    stream << value << std::flush;
    return stream.good();
  }

  /// Where this process is in the hierarchy of the controller; "" is the second version's.
  static std::string own_group(const std::string& controller) {
    std::ifstream groups("/proc/self/cgroup");  // number:controllers:path
    for (std::string line; std::getline(groups, line);) {
      const std::size_t first = line.find(':'), second = line.find(':', first + 1);
      if (("," + line.substr(first + 1, second - first - 1) + ",") == "," + controller + ",")
        return line.substr(second + 1);
    }
    return "";
  }
  static std::filesystem::path mounted(const std::string& kind, const std::string& option) {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string device, place, type, options;
      words >> device >> place >> type >> options;
      if (type == kind && ("," + options + ",").find("," + option + ",") != std::string::npos) return place;
    }
    return {};
  }
  static std::filesystem::path parent_in_version_1() {
    const std::filesystem::path root = mounted("cgroup", "memory");
    return root.empty() ? root : std::filesystem::path(root.string() + own_group("memory"));
  }
  // A group with processes of its own has no groups with limits below it, but for the root.
  static std::filesystem::path parent_in_version_2() {
    const std::filesystem::path root = mounted("cgroup2", "rw");
    if (root.empty()) return root;
    const std::filesystem::path parent = std::filesystem::path(root.string() + own_group("")).parent_path();
    std::ifstream given(parent / "cgroup.subtree_control");
    for (std::string controller; given >> controller;)
      if (controller == "memory") return parent;
    return {};
  }

  std::filesystem::path path_;
  bool owned_ = true;
};

}  // namespace cow::test

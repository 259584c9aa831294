// What the kernel says about this process: mappings, descriptors, memory. Reads /proc, changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "support/environment.hpp"

namespace cow::test {

struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::string line;
};

inline std::vector<Mapping> mappings() {
  std::vector<Mapping> all;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char* rest = nullptr;
    mapping.begin = std::strtoull(line.c_str(), &rest, 16);
    mapping.end = std::strtoull(rest + 1, nullptr, 16);
    mapping.line = line;
    all.push_back(mapping);
  }
  return all;
}

/// Mappings that overlap [memory, memory + size).
inline std::vector<Mapping> mappings_of(const void* memory, std::size_t size) {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  std::vector<Mapping> inside;
  for (const Mapping& mapping : mappings())
    if (mapping.begin < begin + size && mapping.end > begin) inside.push_back(mapping);
  return inside;
}

/// Mappings of this process. Under a sanitizer only those of memory files, which all arenas and views are made of: its
/// run-time maps and unmaps memory of its own at any time.
inline std::size_t mapping_count() {
  std::ifstream maps("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(maps, line);)
    if (!under_sanitizer || line.find("/memfd:") != std::string::npos) ++lines;
  return lines;
}

inline std::size_t descriptor_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count - 1;  // without the one that reads the folder
}

/// Bytes of memory behind all memory files that this process has open. Descriptors that share a file count once.
inline std::uint64_t memory_file_bytes() {
  std::vector<ino_t> seen;
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    if (error || target.rfind("/memfd:", 0) != 0) continue;
    struct stat status = {};
    if (::stat(entry.path().c_str(), &status) != 0) continue;
    bool known = false;
    for (const ino_t inode : seen) known = known || inode == status.st_ino;
    if (known) continue;
    seen.push_back(status.st_ino);
    bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

/// A figure from a /proc file of "Key:   number kB" lines, in bytes; 0 when absent.
inline std::uint64_t proc_bytes(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(key + ":", 0) == 0) return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
  return 0;
}

inline std::uint64_t resident_bytes() { return proc_bytes("/proc/self/status", "VmRSS"); }
inline std::uint64_t available_memory_bytes() { return proc_bytes("/proc/meminfo", "MemAvailable"); }

inline std::size_t mapping_limit() {
  std::ifstream file("/proc/sys/vm/max_map_count");
  std::size_t limit = 65530;
  file >> limit;
  return limit;
}

}  // namespace cow::test

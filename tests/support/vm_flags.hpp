// What the kernel keeps for the mapping at an address, as /proc/self/smaps tells.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace cow::test {

struct KnownMapping {
  std::string line;   // addresses, permissions, name
  std::string flags;  // " rd sh mr ..."

  bool has(const std::string& flag) const { return flags.find(" " + flag) != std::string::npos; }
  bool locked() const { return has("lo"); }
  bool left_out_of_core_dumps() const { return has("dd"); }
};

inline KnownMapping mapping_at(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream smaps("/proc/self/smaps");
  KnownMapping found;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    char* rest = nullptr;
    const std::uintptr_t begin = std::strtoull(line.c_str(), &rest, 16);
    if (rest != line.c_str() && *rest == '-') {
      inside = begin <= wanted && wanted < std::strtoull(rest + 1, nullptr, 16);
      if (inside) found.line = line;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      found.flags = line.substr(sizeof("VmFlags:") - 1);
    }
  }
  return found;
}

}  // namespace cow::test

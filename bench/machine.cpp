// Read from the kernel and from how this program was compiled.
#include "machine.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "setting.hpp"

namespace bench {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

std::string kernel() {
  utsname name{};
  ::uname(&name);
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

std::string compiler() {
#if defined(__clang__)
  return "clang " + std::string(__clang_version__).substr(0, std::string(__clang_version__).find(' '));
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace

std::string Machine::text() const {
  return processor + ", " + std::to_string(cores) + " cores, " + memory + "; " + kernel + "; " + compiler;
}

Machine this_machine() {
  const auto pages = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return {processor(), kernel(), compiler(), size_text((pages * page_bytes + gib / 2) / gib * gib),
          std::thread::hardware_concurrency()};
}

}  // namespace bench

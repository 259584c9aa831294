// Promise: the fault profile of a stripped program still tells stacks apart, by module and offset, and names nothing
// wrongly.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/fault_profile.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {

__attribute__((noinline)) void write_whose_name_is_stripped(const Arena& arena, std::size_t page) {
  *reinterpret_cast<volatile std::uint64_t*>(page_at(arena, page)) = 1;
}

namespace {

COW_CHILD_BODY(print_profile) {
  const Arena arena({.capacity = 64 * page_size()});
  start_fault_profile();
  write_whose_name_is_stripped(arena, 3);
  stop_fault_profile();
  std::ofstream(argument) << to_folded(fault_profile());
  return 0;
}

std::string profile_of(const std::filesystem::path& program, const std::filesystem::path& folder) {
  const std::filesystem::path output = folder / "folded";
  const std::string command =
      "COW_TEST_CHILD=print_profile:" + output.string() + " " + program.string() + " >/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::stringstream text;
  text << std::ifstream(output).rdbuf();
  return text.str();
}

TEST(FaultProfileOfAStrippedProgram, tells_modules_and_offsets) {
  if (under_sanitizer) GTEST_SKIP() << "their runtimes need symbols of the program";
  if (std::system("strip --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no strip";
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("cow_stripped_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::filesystem::path whole = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path stripped = folder / "stripped_program";
  EXPECT_EQ(std::system(("strip -o " + stripped.string() + " " + whole.string()).c_str()), 0);
  const std::string named = profile_of(whole, folder), bare = profile_of(stripped, folder);
  std::filesystem::remove_all(folder);
  EXPECT_NE(named.find("write_whose_name_is_stripped"), std::string::npos) << named;
  EXPECT_EQ(bare.find("write_whose_name_is_stripped"), std::string::npos) << bare;
  const std::string last = bare.substr(bare.rfind(';') + 1);
  EXPECT_TRUE(last.starts_with("stripped_program+0x")) << bare;
  EXPECT_GE(std::count(bare.begin(), bare.end(), ';'), 4) << "unwinding needs no names: " << bare;
}

}  // namespace
}  // namespace cow::test

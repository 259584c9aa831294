// Promise: the fault profile of a stripped program still tells stacks apart, by module and offset, and names nothing
// wrongly; an offset is into what is named.
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

/// Where in its function the write is: one line, or none where nothing names that.
COW_CHILD_BODY(print_offset) {
  const Arena arena({.capacity = 64 * page_size()});
  start_fault_profile();
  write_whose_name_is_stripped(arena, 3);
  stop_fault_profile();
  std::ofstream file(argument);
  for (const CodePlace& place : fault_profile().stacks.at(0).places) {
    if (place.function.find("write_whose_name_is_stripped") != std::string::npos) file << place.offset << "\n";
  }
  return 0;
}

class Folder {
 public:
  Folder() { std::filesystem::create_directory(path_); }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("cow_stripped_" + std::to_string(::getpid()));
};

std::filesystem::path this_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

bool there_is(const std::string& tool) { return std::system((tool + " --version >/dev/null 2>&1").c_str()) == 0; }

void run(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }

std::string output_of(const char* child, const std::filesystem::path& program, const Folder& folder) {
  const std::filesystem::path output = folder / "output";
  run("COW_TEST_CHILD=" + std::string(child) + ":" + output.string() + " " + program.string() + " >/dev/null");
  std::stringstream text;
  text << std::ifstream(output).rdbuf();
  return text.str();
}

TEST(FaultProfileOfAStrippedProgram, tells_modules_and_offsets) {
  if (under_sanitizer) GTEST_SKIP() << "their runtimes need symbols of the program";
  if (!there_is("strip")) GTEST_SKIP() << "there is no strip";
  const Folder folder;
  const std::filesystem::path stripped = folder / "stripped_program";
  run("strip -o " + stripped.string() + " " + this_program().string());
  const std::string named = output_of("print_profile", this_program(), folder);
  const std::string bare = output_of("print_profile", stripped, folder);
  EXPECT_NE(named.find("write_whose_name_is_stripped"), std::string::npos) << named;
  EXPECT_EQ(bare.find("write_whose_name_is_stripped"), std::string::npos) << bare;
  const std::string last = bare.substr(bare.rfind(';') + 1);
  EXPECT_TRUE(last.starts_with("stripped_program+0x")) << bare;
  EXPECT_GE(std::count(bare.begin(), bare.end(), ';'), 4) << "unwinding needs no names: " << bare;
}

TEST(FaultProfileOfAStrippedProgram, offsets_are_into_the_function_that_debug_information_names) {
  if (under_sanitizer) GTEST_SKIP() << "their runtimes need symbols of the program";
  if (!there_is("objcopy")) GTEST_SKIP() << "there is no objcopy";
  const Folder folder;
  const std::filesystem::path program = folder / "without_symbols";
  run("objcopy --wildcard --strip-symbol='*write_whose_name_is_stripped*' " + this_program().string() + " " +
      program.string());
  const std::string with_symbol = output_of("print_offset", this_program(), folder);
  const std::string without = output_of("print_offset", program, folder);
  if (without.empty()) GTEST_SKIP() << "no debug information, or no libdw";
  EXPECT_EQ(without, with_symbol);
  EXPECT_LT(std::stoul(without), 1000u);
}

}  // namespace
}  // namespace cow::test

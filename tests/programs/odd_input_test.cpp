// Promise: an example that is asked for what it cannot do says so at once, in a line that names it, and by its exit
// status: nothing is begun that cannot end well.
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <ostream>
#include <string>

#include <sys/wait.h>

#include <gtest/gtest.h>

#include "support/environment.hpp"

namespace cow::test {
namespace {

struct Call {
  const char* name;  // of the test
  const char* program;
  const char* arguments;
  int status;
  const char* says;
};
void PrintTo(const Call& call, std::ostream* out) { *out << call.program << ' ' << call.arguments; }

std::filesystem::path path_of(const char* program) { return std::filesystem::path(COW_EXAMPLES) / program; }

class OddInput : public testing::TestWithParam<Call> {};

TEST_P(OddInput, is_refused_at_once) {
  const Call& call = GetParam();
  if (!std::filesystem::exists(path_of(call.program))) GTEST_SKIP() << call.program << " was not built";
  const std::string command = path_of(call.program).string() + " " + call.arguments + " 2>&1 >/dev/null </dev/null";
  const auto began = std::chrono::steady_clock::now();
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  std::array<char, 512> part;
  while (std::fgets(part.data(), part.size(), pipe) != nullptr) text += part.data();
  const int status = ::pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == call.status) << status << ": " << text;
  EXPECT_EQ(text.rfind(std::string(call.program) + ": ", 0), 0U) << text;
  EXPECT_NE(text.find(call.says), std::string::npos) << text;
  const std::chrono::seconds at_once(under_sanitizer ? 30 : 5);  // its processor may be busy
  EXPECT_LT(std::chrono::steady_clock::now() - began, at_once);
}

constexpr int failed = 1, wrong_usage = 2;

constexpr Call calls[] = {
    {"inspect_no_name", "inspect", "''", wrong_usage, "a folder without a name: ''"},
    {"inspect_no_folder", "inspect", "/nowhere/at/all", failed, "there is no folder /nowhere/at/all"},
    {"inspect_a_file", "inspect", "/etc/passwd", failed, "there is no folder /etc/passwd"},
    {"inspect_cannot_write", "inspect", "/proc", failed, "cannot write /proc/page_map.svg"},
    {"inspect_option", "inspect", "--colour", wrong_usage, "no such option: '--colour'"},
    {"inspect_two_folders", "inspect", "/tmp /tmp", wrong_usage, "a second folder"},
    {"bank_too_many", "snapshot_structure", "--accounts 100000000", wrong_usage, "from 10 to 1000000, not '100000000'"},
    {"bank_too_few", "snapshot_structure", "--accounts 0", wrong_usage, "from 10 to 1000000, not '0'"},
    {"bank_no_number", "snapshot_structure", "--accounts", wrong_usage, "not ''"},
    {"bank_negative", "snapshot_structure", "--seconds -1", wrong_usage, "--seconds takes a number from 1"},
    {"bank_a_half", "snapshot_structure", "--seconds 0.5", wrong_usage, "--seconds takes a number from 1"},
    {"bank_nothing", "snapshot_structure", "''", wrong_usage, "no such option: ''"},
    {"string_too_long", "copy_on_write_string", "--mib 99999999999999999999", wrong_usage, "from 1 to 65536"},
    {"string_no_file", "copy_on_write_string", "/nowhere", failed, "cannot read /nowhere"},
    {"string_a_folder", "copy_on_write_string", "/tmp", failed, "cannot read /tmp"},
    {"string_empty_file", "copy_on_write_string", "/dev/null", failed, "/dev/null is empty"},
    {"what_if_no_file", "what_if", "/nowhere/status", failed, "cannot read /nowhere/status"},
    {"what_if_a_folder", "what_if", "/tmp/", failed, "cannot read /tmp/"},
    {"what_if_empty_file", "what_if", "/dev/null", failed, "/dev/null"},
    {"what_if_not_a_database", "what_if", "/etc/passwd", failed, "/etc/passwd"},
    {"what_if_no_package", "what_if", "no-such-package-here", failed, "no-such-package-here"},
    {"what_if_no_threads", "what_if", "--threads 0", wrong_usage, "--threads takes a number from 1"},
    {"what_if_nothing", "what_if", "''", wrong_usage, "no such option: ''"},
    {"sqlite_no_file", "sqlite_time_travel", "/nowhere", failed, "cannot read /nowhere"},
    {"sqlite_empty_file", "sqlite_time_travel", "/dev/null", failed, "/dev/null"},
    {"sqlite_not_a_database", "sqlite_time_travel", "/etc/passwd", failed, "/etc/passwd"},
    {"checkpoint_no_folder", "checkpoint", "", wrong_usage, "where to? A folder, please"},
    {"checkpoint_no_name", "checkpoint", "''", wrong_usage, "where to? A folder, please"},
    {"checkpoint_cannot_write", "checkpoint", "/proc/x/y", failed, "[/proc/x/y]"},
    {"checkpoint_a_file", "checkpoint", "/etc/passwd", failed, "[/etc/passwd]"},
    {"checkpoint_no_steps", "checkpoint", "--steps 0 /tmp", wrong_usage, "--steps takes a number from 1"},
    {"sqlite_no_rounds", "sqlite_time_travel", "--rounds 0", wrong_usage, "--rounds takes a number from 1"},
};
INSTANTIATE_TEST_SUITE_P(Examples, OddInput, testing::ValuesIn(calls),
                         [](const auto& which) { return std::string(which.param.name); });

}  // namespace
}  // namespace cow::test

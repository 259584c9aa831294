// Promise: with cow.gdb the debugger lets faults pass, and lists arenas and versions.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {

/// Where the debugger stops; it sees the arena in the argument.
__attribute__((noinline)) void stop_for_debugger(const void* arena) { asm volatile("" : : "r"(arena) : "memory"); }

namespace {

COW_CHILD_BODY(be_debugged) {
  const bool userfaultfd = argument == "userfaultfd" && is_available(Barrier::userfaultfd);
  Arena arena(options_for(userfaultfd ? Barrier::userfaultfd : Barrier::mprotect, 64, "debugged"));
  fill_run(arena, 0, 32, 1);
  const Snapshot first = arena.snapshot();
  put_mark(arena, 3, 2);
  const Snapshot second = arena.snapshot(), again = second;
  Arena clone = first.clone();
  put_mark(clone, 5, 3);
  stop_for_debugger(arena.data());
  return 0;
}

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* const pipe = ::popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return text;
  char part[512];
  while (std::fgets(part, sizeof part, pipe) != nullptr) text += part;
  ::pclose(pipe);
  return text;
}

std::string debug(const std::string& child, const std::string& options) {
  return output_of("env COW_TEST_CHILD=" + child + " DEBUGINFOD_URLS= gdb -nx -batch " + options + " --args /proc/" +
                   std::to_string(::getpid()) + "/exe");
}

std::string command_file() {
  return (std::filesystem::path(__FILE__).parent_path() / "../../src/diagnostics/cow.gdb").string();
}

class Debugger : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (under_sanitizer) GTEST_SKIP() << "their runtimes and debuggers disturb each other";
    if (output_of("gdb -nx -batch -ex 'python print(6 * 7)' -ex run --args /bin/true").find("42") ==
        std::string::npos) {
      GTEST_SKIP() << "there is no gdb with Python";
    }
    if (output_of("gdb -nx -batch -ex run --args /bin/true").find("exited normally") == std::string::npos) {
      GTEST_SKIP() << "gdb may not trace processes here";
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Barriers, Debugger, testing::Values("mprotect", "userfaultfd"),
                         [](const auto& barrier) { return barrier.param; });

TEST_P(Debugger, lets_faults_pass_and_lists_arenas_and_versions) {
  const std::string text =
      debug("be_debugged:" + GetParam(),
            "-x " + command_file() +
                " -ex 'break stop_for_debugger' -ex run -ex 'set language c' -ex cow-arenas -ex 'cow-versions arena' -ex "
                "'cow-versions 1' -ex continue");
  if (text.find("no debug information") != std::string::npos) GTEST_SKIP() << "built without debug information";
  EXPECT_EQ(text.find("received signal"), std::string::npos) << text;
  EXPECT_NE(text.find("exited normally"), std::string::npos) << text;
  EXPECT_NE(text.find("arena \"debugged\" at 0x"), std::string::npos) << text;
  EXPECT_NE(text.find("epoch 4, 2 snapshots, 32 pages written"), std::string::npos) << text;
  EXPECT_NE(text.find("snapshot 1: epoch 2, 1 handles"), std::string::npos) << text;
  EXPECT_NE(text.find("snapshot 2: epoch 3, 2 handles, 0 pages written since"), std::string::npos) << text;
  EXPECT_NE(text.find("no arena has that address"), std::string::npos) << text;
}

TEST_P(Debugger, would_stop_at_a_fault_otherwise) {
  const std::string text = debug("be_debugged:" + GetParam(), "-ex run");
  EXPECT_NE(text.find("received signal"), std::string::npos) << text;
}

}  // namespace
}  // namespace cow::test

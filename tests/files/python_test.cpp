// Promise: a reader of the format in another language sees the same bytes.
#include <array>
#include <cstdio>
#include <numeric>

#include <sys/wait.h>

#include "files/saved.hpp"

namespace cow::test {
namespace {

struct Said {
  int code;
  std::string text;
};

Said python(const std::string& arguments) {
  // Debian's, where numpy is Debian's too; python3 may be another one.
  const std::string debians = ::access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
  FILE* const pipe = ::popen((debians + " -B " + arguments + " 2>&1").c_str(), "r");
  std::string text;
  std::array<char, 4096> some;
  for (std::size_t got; (got = std::fread(some.data(), 1, some.size(), pipe)) != 0;) text.append(some.data(), got);
  return {WEXITSTATUS(::pclose(pipe)), text};
}

TEST(ReaderInPython, sees_the_same_bytes) {
  if (python("-c 'import numpy'").code != 0) GTEST_SKIP() << "no python3 with numpy (Debian: python3-numpy)";
  const Folder folder{memory_folder()};
  Painted arena = painted(100);
  arena.paint_run(3, 60, 0x0102030405060708);
  const Snapshot first = arena.arena().snapshot();
  save(first, folder / "a", unsynced());
  arena.paint_run(20, 5, 0);
  arena.paint(90, 7);
  save(arena.arena().snapshot(), folder / "b", layer_on(first, folder / "a"));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < arena.arena().capacity(); ++i)
    sum += std::to_integer<std::uint64_t>(arena.arena().data()[i]);
  const std::string reader = PYTHON_READER " ";
  const Said said = python(reader + (folder / "a").string() + " " + (folder / "b").string());
  EXPECT_EQ(said.code, 0) << said.text;
  EXPECT_NE(said.text.find("bytes: " + std::to_string(sum) + "\n"), std::string::npos) << said.text << sum;
  EXPECT_EQ(python(reader + (folder / "b").string()).code, 1);
  put_bytes(folder / "short", bytes_of(folder / "a").substr(0, 10000));
  EXPECT_EQ(python(reader + (folder / "short").string()).code, 1);
}

}  // namespace
}  // namespace cow::test

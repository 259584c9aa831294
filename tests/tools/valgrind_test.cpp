// Promise: programs with arenas run under valgrind's memcheck, with the option that the README names, and without
// errors.
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

COW_CHILD_BODY(everything_once) {
  Arena arena(options_for(Barrier::mprotect, 64));
  fill_run(arena, 0, 64, 1);
  const Snapshot first = arena.snapshot();
  fill_run(arena, 10, 20, 2);
  Arena clone = first.clone();
  fill_run(clone, 5, 10, 3);
  const View view = arena.snapshot().view();
  fill_run(arena, 0, 5, 4);
  CHECK_IN_CHILD(mark_of(view, 12) == 2 && mark_of(view, 2) == 1);
  arena.rollback(first);
  for (std::size_t page = 0; page < 64; ++page) CHECK_IN_CHILD(filled(page_at(arena, page), 1));
  CHECK_IN_CHILD(mark_of(clone, 6) == 3 && mark_of(clone, 30) == 1);
  Arena for_heap(options_for(Barrier::mprotect, 256));
  Heap heap(for_heap);
  std::vector<int, Allocator<int>> numbers{Allocator<int>(heap)};
  for (int i = 0; i < 1000; ++i) {
    if (i % 100 == 0) (void)for_heap.snapshot();
    numbers.push_back(i);
  }
  CHECK_IN_CHILD(numbers[999] == 999);
  return 0;
}

struct Output {
  std::string text;
  int status = -1;
};

Output output_of(const std::string& command) {
  Output output;
  std::FILE* const pipe = ::popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 512> part;
  while (std::fgets(part.data(), part.size(), pipe) != nullptr) output.text += part.data();
  output.status = ::pclose(pipe);
  return output;
}

// Without the option a store is repeated with registers from before its block of code: valgrind keeps only some of them
// right at each access to memory (its manual, --vex-iropt-register-updates), and the program goes wrong.
TEST(Valgrind, runs_everything_without_an_error) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers and valgrind exclude each other";
  if (output_of("valgrind --version").status != 0) GTEST_SKIP() << "there is no valgrind";
  const Output output = output_of(
      "COW_TEST_CHILD=everything_once valgrind --error-exitcode=99 --leak-check=no "
      "--vex-iropt-register-updates=allregs-at-mem-access /proc/" +
      std::to_string(::getpid()) + "/exe");
  EXPECT_TRUE(WIFEXITED(output.status) && WEXITSTATUS(output.status) == 0) << output.text;
}

}  // namespace
}  // namespace cow::test

// Promise: on demand the line about a bad access is followed by the call stack, with names; a stack that leads nowhere
// is no harm.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <link.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/small_arena.hpp"

// Names that need no demangling. Volatile results keep the calls from becoming jumps.
extern "C" {
__attribute__((noinline)) int cow_test_inner(std::byte* at) {
  *reinterpret_cast<volatile std::byte*>(at) = std::byte{1};
  volatile int result = 1;
  return result;
}
__attribute__((noinline)) int cow_test_outer(std::byte* at) {
  volatile int result = cow_test_inner(at);
  return result;
}
}

namespace cow::test {
namespace {

constexpr int cannot_unwind = 77;

COW_CHILD_BODY(deadly_write_in_functions) {
  ::signal(SIGSEGV, SIG_DFL);
  Arena arena = small_arena();
  if (!print_backtraces_of_bad_accesses(true)) return cannot_unwind;
  return cow_test_outer(arena.data() + arena.capacity());
}

COW_CHILD_BODY(deadly_write_unasked) {
  ::signal(SIGSEGV, SIG_DFL);
  Arena arena = small_arena();
  if (!print_backtraces_of_bad_accesses(true)) return cannot_unwind;
  print_backtraces_of_bad_accesses(false);
  return cow_test_outer(arena.data() + arena.capacity());
}

COW_CHILD_BODY(jump_into_an_arena) {
  ::signal(SIGSEGV, SIG_DFL);
  Arena arena = small_arena();
  if (!print_backtraces_of_bad_accesses(true)) return cannot_unwind;
  const std::byte* const start = arena.data();
  void (*code)() = nullptr;
  std::memcpy(&code, &start, sizeof code);
  code();
  return 1;
}

COW_CHILD_BODY(deadly_write_in_a_fork_child) {
  ::signal(SIGSEGV, SIG_DFL);
  Arena arena = small_arena();
  if (!print_backtraces_of_bad_accesses(true)) return cannot_unwind;
  const ChildResult result = run_forked([] {
    Arena own = small_arena();
    return cow_test_outer(own.data() + own.capacity());
  });
  std::fprintf(stderr, "%s", result.error_text.c_str());
  return result.died_by(SIGSEGV) && !result.timed_out ? 0 : 1;
}

// The loader's lock is held, which finding names needs.
COW_CHILD_BODY(deadly_write_inside_the_loader) {
  ::signal(SIGSEGV, SIG_DFL);
  Arena arena = small_arena();
  if (!print_backtraces_of_bad_accesses(true)) return cannot_unwind;
  const auto write = [](dl_phdr_info*, std::size_t, void* at) { return cow_test_outer(static_cast<std::byte*>(at)); };
  return ::dl_iterate_phdr(write, arena.data() + arena.capacity());
}

std::ptrdiff_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(Backtrace, of_a_bad_access_names_the_functions) {
  const ChildResult result = run_child("deadly_write_in_functions");
  if (result.exited_with(cannot_unwind)) GTEST_SKIP() << "built without libunwind";
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  const std::size_t line = result.error_text.find("at the end of arena");
  const std::size_t inner = result.error_text.find("#0 ");
  const std::size_t outer = result.error_text.find("cow_test_outer+");
  ASSERT_NE(outer, std::string::npos) << result.error_text;
  EXPECT_NE(result.error_text.find("cow_test_inner+"), std::string::npos) << result.error_text;
  EXPECT_LT(line, inner);
  EXPECT_LT(inner, outer);
}

TEST(Backtrace, is_not_printed_unasked) {
  const ChildResult result = run_child("deadly_write_unasked");
  if (result.exited_with(cannot_unwind)) GTEST_SKIP() << "built without libunwind";
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  EXPECT_EQ(lines_of(result.error_text), 1) << result.error_text;
}

TEST(Backtrace, in_a_fork_child_is_bare_addresses) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer does not follow threads into a fork()";
  const ChildResult result = run_child("deadly_write_in_a_fork_child");
  if (result.exited_with(cannot_unwind)) GTEST_SKIP() << "built without libunwind";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
  EXPECT_NE(result.error_text.find("#1 0x"), std::string::npos) << result.error_text;
}

TEST(Backtrace, that_cannot_have_names_is_bare_addresses_and_no_deadlock) {
  const ChildResult result = run_child("deadly_write_inside_the_loader");
  if (result.exited_with(cannot_unwind)) GTEST_SKIP() << "built without libunwind";
  EXPECT_FALSE(result.timed_out);
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  EXPECT_NE(result.error_text.find("#1 0x"), std::string::npos) << result.error_text;
}

TEST(Backtrace, of_code_that_is_none_ends) {
  const ChildResult result = run_child("jump_into_an_arena");
  if (result.exited_with(cannot_unwind)) GTEST_SKIP() << "built without libunwind";
  EXPECT_FALSE(result.timed_out);
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  EXPECT_LT(lines_of(result.error_text), 70) << result.error_text;
}

}  // namespace
}  // namespace cow::test

// Promise: LeakSanitizer sees what is pointed to from an arena once it is told of the arena, as the README says.
#include <cstddef>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"

#if defined(__SANITIZE_ADDRESS__) || COW_TEST_HAS_FEATURE(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define COW_TEST_LSAN 1
#else
#define COW_TEST_LSAN 0
#endif

namespace cow::test {
namespace {

constexpr int leaks = 3;

#if COW_TEST_LSAN

__attribute__((noinline)) void point_from(void** arena_words) {
  for (int i = 0; i < 100; ++i) arena_words[i] = std::malloc(1000);
}

// Called between: what a call before has left on the stack does not count as a pointer.
__attribute__((noinline)) void write_over_the_stack() {
  volatile char bytes[4096];
  for (volatile char& byte : bytes) byte = 0;
}

COW_CHILD_BODY(point_to_memory_from_an_arena_only) {
  Arena arena(options_for(Barrier::mprotect, 16));
  if (argument == "told") __lsan_register_root_region(arena.data(), arena.capacity());
  point_from(reinterpret_cast<void**>(arena.data()));
  write_over_the_stack();
  return __lsan_do_recoverable_leak_check() != 0 ? leaks : 0;
}

#endif

TEST(LeakSanitizer, takes_an_arena_for_a_root_when_it_is_told) {
  if (!under_asan) GTEST_SKIP() << "there is none in this build";
  const ChildResult untold = run_child("point_to_memory_from_an_arena_only");
  if (untold.error_text.find("LeakSanitizer has encountered a fatal error") != std::string::npos) {
    GTEST_SKIP() << "this sandbox allows no ptrace";
  }
  EXPECT_TRUE(untold.exited_with(leaks)) << untold.how();
  const ChildResult told = run_child("point_to_memory_from_an_arena_only", "told");
  EXPECT_TRUE(told.exited_with(0)) << told.how();
}

}  // namespace
}  // namespace cow::test

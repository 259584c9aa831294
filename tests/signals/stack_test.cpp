// Promise: the handler needs little stack: a thread with the smallest stack there is, and an alternate stack of the
// kernel's own minimum and a budget, are enough for it.
#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/// What the library asks of whoever sets up an alternate stack, beside the kernel's own minimum (faults.hpp says so
/// too).
constexpr std::size_t budget = 4096;
/// And beside that for libunwind, where call stacks are wanted (faults.hpp and fault_profile.hpp).
constexpr std::size_t more_for_backtraces = 16 * 1024, more_for_profiles = 8 * 1024;

std::size_t kernel_minimum() {
  const std::size_t told = ::getauxval(AT_MINSIGSTKSZ);
  return told != 0 ? told : 2048;
}

/// A stack with an inaccessible page below, filled with a pattern so that its use can be read off.
class MeasuredStack {
 public:
  explicit MeasuredStack(std::size_t size) : size_((size + page_size() - 1) / page_size() * page_size()) {
    memory_ = static_cast<std::byte*>(
        ::mmap(nullptr, size_ + page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::mprotect(memory_, page_size(), PROT_NONE);
    std::memset(base(), 0x5a, size_);
  }
  MeasuredStack(const MeasuredStack&) = delete;
  MeasuredStack& operator=(const MeasuredStack&) = delete;
  ~MeasuredStack() { ::munmap(memory_, size_ + page_size()); }

  std::byte* base() const { return memory_ + page_size(); }
  std::size_t size() const { return size_; }
  /// The top `bytes` of it, which are used from above.
  stack_t top(std::size_t bytes) const {
    stack_t stack = {};
    stack.ss_sp = base() + size_ - bytes;
    stack.ss_size = bytes;
    return stack;
  }
  std::size_t used() const {
    const std::byte* const untouched =
        std::find_if(base(), base() + size_, [](std::byte b) { return b != std::byte{0x5a}; });
    return static_cast<std::size_t>(base() + size_ - untouched);
  }

 private:
  std::size_t size_;
  std::byte* memory_;
};

class OnAlternateStack {
 public:
  explicit OnAlternateStack(const stack_t& stack) { ::sigaltstack(&stack, &before_); }
  OnAlternateStack(const OnAlternateStack&) = delete;
  OnAlternateStack& operator=(const OnAlternateStack&) = delete;
  ~OnAlternateStack() { ::sigaltstack(&before_, nullptr); }

 private:
  stack_t before_ = {};
};

class HandlerStack : public BarrierTest {};
COW_FOR_EVERY_BARRIER(HandlerStack);

/// Faults of every kind that the rule knows.
void fault_in_every_way(Barrier barrier) {
  constexpr std::size_t pages = 256;
  Arena arena(options_for(barrier, pages));
  fill_run(arena, 0, 100, 1);                                         // first touches, in sequence
  const Snapshot first = arena.snapshot();
  for (std::size_t page = 0; page < 100; page += 3) put_mark(arena, page, 2);  // to history, scattered
  fill_run(arena, 0, 100, 3);
  Arena clone = arena.clone();
  fill_run(arena, 0, 200, 4);                                         // lent: the writer moves
  fill_run(clone, 0, 120, 5);                                         // borrowed
  {
    const Snapshot passing = arena.snapshot();
    put_mark(arena, 7, 6);
  }
  const View view = arena.snapshot().view();
  for (std::size_t page = 0; page < pages; page += 2) put_mark(arena, page, 7);
}

TEST_P(HandlerStack, stays_within_its_budget) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  MeasuredStack stack(kernel_minimum() + 16 * budget);
  {
    const OnAlternateStack alternate(stack.top(stack.size()));
    fault_in_every_way(GetParam());
  }
  std::cout << "the kernel's minimum is " << kernel_minimum() << " bytes; its frame and ours together used "
            << stack.used() << '\n';
  EXPECT_GT(stack.used(), 500U) << "the handler did not run on the alternate stack";
  EXPECT_LE(stack.used(), kernel_minimum() + budget);
}

TEST_P(HandlerStack, needs_no_more_than_the_minimum_and_its_budget) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  const std::size_t size = kernel_minimum() + budget;
  MeasuredStack stack(size);
  {
    const OnAlternateStack alternate(stack.top(size));
    fault_in_every_way(GetParam());
  }
  EXPECT_LE(stack.used(), size);
}

// What many programs give: 16 KiB. Enough wherever the kernel's frame leaves us our budget.
TEST_P(HandlerStack, of_sixteen_kibibytes_is_enough) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  constexpr std::size_t size = 16 * 1024;
  if (kernel_minimum() + budget > size) GTEST_SKIP() << "the kernel wants " << kernel_minimum() << " of them itself";
  MeasuredStack stack(size);
  {
    const OnAlternateStack alternate(stack.top(size));
    fault_in_every_way(GetParam());
  }
  EXPECT_GT(stack.used(), 500U) << "the handler did not run on the alternate stack";
}

TEST_P(HandlerStack, of_a_fault_profile_stays_within_its_budget) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  MeasuredStack stack(kernel_minimum() + 16 * more_for_profiles);
  start_fault_profile({.every = 1});
  {
    const OnAlternateStack alternate(stack.top(stack.size()));
    fault_in_every_way(GetParam());
  }
  stop_fault_profile();
  ASSERT_GT(fault_profile().faults, 0U);
  std::cout << "with call stacks the kernel's frame and ours together used " << stack.used() << '\n';
  EXPECT_LE(stack.used(), kernel_minimum() + budget + more_for_profiles);
}

sigjmp_buf way_out;

/// Goes past the end of an arena with backtraces on, and tells the stack that took.
COW_CHILD_BODY(print_a_backtrace_on_an_alternate_stack) {
  struct sigaction action = {};
  action.sa_sigaction = [](int, siginfo_t*, void*) { siglongjmp(way_out, 1); };
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(SIGSEGV, &action, nullptr);
  const Arena arena(options_for(Barrier::mprotect, 4));
  if (!print_backtraces_of_bad_accesses(true)) return 77;
  const std::size_t needed = kernel_minimum() + budget + more_for_backtraces;
  MeasuredStack stack(argument == "needed" ? needed : 16 * needed);
  {
    const OnAlternateStack alternate(stack.top(argument == "needed" ? needed : stack.size()));
    if (sigsetjmp(way_out, 1) == 0) {
      *reinterpret_cast<volatile std::byte*>(arena.data() + arena.capacity()) = std::byte{1};
      return 1;
    }
  }
  std::fprintf(stderr, "used %zu bytes", stack.used());
  return stack.used() <= needed ? 0 : 2;
}

TEST(HandlerStackOfBacktraces, stays_within_its_budget) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  for (const char* const size : {"ample", "needed"}) {
    const ChildResult result = run_child("print_a_backtrace_on_an_alternate_stack", size);
    if (result.exited_with(77)) GTEST_SKIP() << "built without libunwind";
    ASSERT_TRUE(result.exited_with(0)) << result.how();
    EXPECT_NE(result.error_text.find("print_a_backtrace_on_an_alternate_stack"), std::string::npos) << result.how();
    std::cout << "printing a backtrace " << result.error_text.substr(result.error_text.rfind("used ")) << '\n';
  }
}

struct SmallThread {
  Barrier barrier;
  bool done = false;
};

void* write_in_a_small_thread(void* argument) {
  auto* const job = static_cast<SmallThread*>(argument);
  fault_in_every_way(job->barrier);
  job->done = true;
  return nullptr;
}

TEST_P(HandlerStack, of_a_small_thread_is_large_enough) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  const auto smallest = static_cast<std::size_t>(PTHREAD_STACK_MIN);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, std::max(smallest, kernel_minimum() + 5 * budget)), 0);
  SmallThread job{GetParam()};
  pthread_t thread;
  ASSERT_EQ(::pthread_create(&thread, &attributes, write_in_a_small_thread, &job), 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
  EXPECT_TRUE(job.done);
}

}  // namespace
}  // namespace cow::test

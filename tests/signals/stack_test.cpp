// Promise: the handler needs little stack: a thread with the smallest stack there is, and an alternate stack of the kernel's
// own minimum and a budget, are enough for it.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <vector>

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/// What the library asks of whoever sets up an alternate stack, beside the kernel's own minimum (faults.hpp says so too).
constexpr std::size_t budget = 4096;

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
    const std::byte* const untouched = std::find_if(base(), base() + size_, [](std::byte b) { return b != std::byte{0x5a}; });
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
  if (under_sanitizer) GTEST_SKIP() << "sanitizers make frames larger";
  MeasuredStack stack(kernel_minimum() + 16 * budget);
  {
    const OnAlternateStack alternate(stack.top(stack.size()));
    fault_in_every_way(GetParam());
  }
  std::cout << "the kernel's minimum is " << kernel_minimum() << " bytes; its frame and ours together used " << stack.used() << '\n';
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

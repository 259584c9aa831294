// Promise: every kind of store resumes correctly after its fault, from any thread and from signal handlers.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <vector>

#include <sys/time.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {
namespace {

class Instructions : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    arena_.push_back(make_arena(64));
    fill_run(arena(), 0, 64, 1);
    protect();
  }
  Arena& arena() { return arena_.front(); }
  /// All pages are read-only from here on.
  void protect() { before_ = arena().snapshot(); }
  testing::AssertionResult snapshot_is_intact() const { return shows(before_, Picture(64, 1)); }

 private:
  std::vector<Arena> arena_;
  Snapshot before_;
};
COW_FOR_EVERY_BARRIER(Instructions);

TEST_P(Instructions, a_store_across_two_pages) {
  for (std::size_t split = 1; split < 8; ++split) {
    std::byte* const at = page_at(arena(), 10 * split % 60 + 1) - split;
    const std::uint64_t value = 0x1122334455667788U * split;
    std::memcpy(at, &value, sizeof value);
    ASSERT_EQ(mark_of(at), value);
  }
  EXPECT_TRUE(snapshot_is_intact());
}

TEST_P(Instructions, a_vector_store_across_two_pages) {
  // A member is stored unaligned by every compiler; clang 14 does not heed aligned(1) of the vector's own type.
  using Vector = std::uint64_t __attribute__((vector_size(16)));
  struct __attribute__((packed, may_alias)) Unaligned {
    Vector vector;
  };
  std::byte* const at = page_at(arena(), 5) - 8;
  reinterpret_cast<Unaligned*>(at)->vector = Vector{77, 88};
  EXPECT_EQ(mark_of(at), 77U);
  EXPECT_EQ(mark_of(at + 8), 88U);
  EXPECT_TRUE(snapshot_is_intact());
}

TEST_P(Instructions, a_string_move_over_many_pages) {
#if defined(__x86_64__)
  Bytes source(40 * page_size());
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::byte>(i * 7);
  void* to = arena().data() + 100;
  const void* from = source.data();
  std::size_t count = source.size();
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  EXPECT_EQ(count, 0U);
  EXPECT_EQ(std::memcmp(arena().data() + 100, source.data(), source.size()), 0);
  EXPECT_TRUE(snapshot_is_intact());
#else
  GTEST_SKIP() << "an instruction of x86-64";
#endif
}

TEST_P(Instructions, a_string_move_from_protected_to_protected_pages) {
#if defined(__x86_64__)
  for (std::size_t page = 0; page < 20; ++page) fill(arena(), page, page);
  const Snapshot both = arena().snapshot();
  void* to = page_at(arena(), 30);
  const void* from = page_at(arena(), 0);
  std::size_t count = 20 * words_in_page();
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  for (std::size_t page = 0; page < 20; ++page) ASSERT_TRUE(filled(page_at(arena(), 30 + page), page));
  ASSERT_EQ(mark_of(both, 30), 1U);
#else
  GTEST_SKIP() << "an instruction of x86-64";
#endif
}

TEST_P(Instructions, compare_and_exchange_that_succeeds) {
  auto* const word = reinterpret_cast<std::uint64_t*>(page_at(arena(), 7));
  std::uint64_t expected = 1;
  EXPECT_TRUE(std::atomic_ref<std::uint64_t>(*word).compare_exchange_strong(expected, 9));
  EXPECT_EQ(mark_of(arena(), 7), 9U);
  EXPECT_TRUE(snapshot_is_intact());
}

// It changes nothing, but faults as a write on x86-64 all the same.
TEST_P(Instructions, compare_and_exchange_that_fails) {
  auto* const word = reinterpret_cast<std::uint64_t*>(page_at(arena(), 7));
  std::uint64_t expected = 5;
  EXPECT_FALSE(std::atomic_ref<std::uint64_t>(*word).compare_exchange_strong(expected, 9));
  EXPECT_EQ(expected, 1U);
  EXPECT_EQ(mark_of(arena(), 7), 1U);
  EXPECT_TRUE(snapshot_is_intact());
}

TEST_P(Instructions, read_modify_write) {
  auto* const word = reinterpret_cast<std::uint64_t*>(page_at(arena(), 7));
  EXPECT_EQ(std::atomic_ref<std::uint64_t>(*word).fetch_add(4), 1U);
  protect();
  EXPECT_EQ(std::atomic_ref<std::uint64_t>(*word).exchange(20), 5U);
  protect();
  *word += 2;
  EXPECT_EQ(mark_of(arena(), 7), 22U);
}

TEST_P(Instructions, library_calls_that_write_much) {
  std::memset(page_at(arena(), 1) + 5, 0x22, 20 * page_size());
  std::memmove(page_at(arena(), 3), page_at(arena(), 1), 30 * page_size());
  EXPECT_EQ(arena().data()[3 * page_size() + 4], arena().data()[4]);
  EXPECT_EQ(arena().data()[20 * page_size()], std::byte{0x22});
  EXPECT_TRUE(snapshot_is_intact());
}

// -- Stores from signal handlers --------------------------------------------------------------------------------

std::byte* handler_target = nullptr;
std::atomic<std::uint64_t> handler_stores{0};

void store_in_handler(int) {
  const std::uint64_t number = handler_stores.fetch_add(1, std::memory_order_relaxed) + 1;
  store_word(handler_target + number % 8 * page_size(), number);
}

class HandlerFor {
 public:
  HandlerFor(int signo, void (*handler)(int)) : signo_(signo) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigaction(signo, &action, &before_);
  }
  HandlerFor(const HandlerFor&) = delete;
  HandlerFor& operator=(const HandlerFor&) = delete;
  ~HandlerFor() { ::sigaction(signo_, &before_, nullptr); }

 private:
  int signo_;
  struct sigaction before_ = {};
};

TEST_P(Instructions, a_store_in_a_signal_handler) {
  if (under_tsan) GTEST_SKIP() << tsan_blocks_faults_in_handlers;
  handler_target = page_at(arena(), 40);
  handler_stores = 0;
  const HandlerFor usr1(SIGUSR1, store_in_handler);
  ASSERT_EQ(::raise(SIGUSR1), 0);
  EXPECT_EQ(mark_of(arena(), 41), 1U);
  EXPECT_TRUE(snapshot_is_intact());
}

// The timer's signal arrives anywhere: in the middle of our handler, of a snapshot, of a clone.
TEST_P(Instructions, stores_in_a_signal_handler_that_interrupts_everything) {
  if (under_tsan) GTEST_SKIP() << tsan_blocks_faults_in_handlers;
  handler_target = page_at(arena(), 40);
  handler_stores = 0;
  const HandlerFor alarm(SIGALRM, store_in_handler);
  const itimerval often = {{0, 200}, {0, 200}};
  const itimerval never = {};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  std::uint64_t round = 1;
  bool right = true;
  for (const Until racing; racing && right; ++round) {
    const Snapshot snapshot = arena().snapshot();
    for (std::size_t page = 0; page < 40; page += 3) put_mark(arena(), page, round);
    if (round % 3 == 0) {
      const Arena clone = arena().clone();
      for (std::size_t page = 0; page < 40; page += 3) put_mark(arena(), page, round + 1);
      right = mark_of(clone, 3) == round;
    }
    if (round % 3 == 1) {
      const View view = snapshot.view();
      right = mark_of(view, 39) == mark_of(snapshot, 39);
    }
  }
  ::setitimer(ITIMER_REAL, &never, nullptr);
  EXPECT_TRUE(right);
  EXPECT_GT(handler_stores.load(), 0U);
  for (std::uint64_t back = 0; back < 8 && back < handler_stores; ++back) {
    const std::uint64_t number = handler_stores - back;
    EXPECT_EQ(mark_of(arena(), 40 + number % 8), number);
  }
}

}  // namespace
}  // namespace cow::test

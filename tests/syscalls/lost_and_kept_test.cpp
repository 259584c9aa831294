// Promise: what cow/write_guard.hpp says of system calls that meet a protected page is so: which fail, and what they
// lose.
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "syscalls/filled_ends.hpp"

namespace cow::test {
namespace {

class SystemCall : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    arena_.emplace(make_arena(4));
    fill_run(*arena_, 0, 4, 1);
    snapshot_ = arena_->snapshot();
  }
  std::byte* page(std::size_t number) const { return page_at(*arena_, number); }
  std::uint32_t* word(std::size_t number) const { return reinterpret_cast<std::uint32_t*>(page(number)); }
  void open(std::size_t number) { arena_->prepare_write(page(number), page_size()); }

  std::optional<Arena> arena_;
  Snapshot snapshot_;
};
COW_FOR_EVERY_BARRIER(SystemCall);

TEST_P(SystemCall, read_from_a_pipe_fails_and_loses_nothing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  const Ends pipe = Ends::pipe();
  pipe.put("kept");
  ASSERT_EQ(::read(pipe.reading_end(), page(1), 4), -1);
  EXPECT_EQ(errno, EFAULT);
  open(1);
  ASSERT_EQ(::read(pipe.reading_end(), page(1), 4), 4);
  EXPECT_EQ(std::memcmp(page(1), "kept", 4), 0);
}

TEST_P(SystemCall, recv_from_a_stream_fails_and_loses_nothing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  const Ends sockets = Ends::sockets(SOCK_STREAM);
  sockets.put("kept");
  ASSERT_EQ(::recv(sockets.reading_end(), page(1), 4, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  open(1);
  ASSERT_EQ(::recv(sockets.reading_end(), page(1), 4, 0), 4);
  EXPECT_EQ(std::memcmp(page(1), "kept", 4), 0);
}

void expect_datagram_lost(const Ends& sockets, std::byte* at) {
  sockets.put("lost");
  ASSERT_EQ(::recv(sockets.reading_end(), at, 4, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::recv(sockets.reading_end(), nullptr, 0, MSG_DONTWAIT | MSG_TRUNC), -1);
  EXPECT_EQ(errno, EAGAIN) << "the datagram is still there";
}

TEST_P(SystemCall, recv_of_a_datagram_fails_and_loses_it) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  expect_datagram_lost(Ends::sockets(SOCK_DGRAM), page(1));
}

TEST_P(SystemCall, recv_of_a_udp_datagram_fails_and_loses_it) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  const Ends sockets = Ends::udp();
  if (!sockets) GTEST_SKIP() << "this sandbox has no loopback device";
  expect_datagram_lost(sockets, page(1));
}

TEST_P(SystemCall, that_meets_a_protected_page_later_stops_short) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  const Ends pipe = Ends::pipe();
  pipe.put(std::string(2 * page_size(), 'x'));
  open(1);
  const ssize_t got = ::read(pipe.reading_end(), page(1), 2 * page_size());
  EXPECT_GT(got, 0);
  EXPECT_LE(got, static_cast<ssize_t>(page_size()));
  EXPECT_TRUE(filled(page(2), 1));
}

TEST_P(SystemCall, getrandom_and_fstat_fail) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  EXPECT_EQ(::getrandom(page(1), 16, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::fstat(STDERR_FILENO, reinterpret_cast<struct stat*>(page(1))), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_TRUE(filled(page(1), 1));
  open(1);
  EXPECT_EQ(::getrandom(page(1), 16, 0), 16);
  EXPECT_EQ(::fstat(STDERR_FILENO, reinterpret_cast<struct stat*>(page(1))), 0);
}

TEST_P(SystemCall, that_only_reads_the_buffer_works) {
  const Ends pipe = Ends::pipe();
  EXPECT_EQ(::write(pipe.writing_end(), page(1), page_size()), static_cast<ssize_t>(page_size()));
}

long futex(std::uint32_t* word, int operation, std::uint32_t value, std::uint32_t* second = nullptr,
           std::uint32_t third = 0) {
  return ::syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, second, third);
}

TEST_P(SystemCall, futex_that_waits_or_wakes_works) {
  EXPECT_EQ(futex(word(1), FUTEX_WAIT, 7), -1);
  EXPECT_EQ(errno, EAGAIN);  // it has looked: the word is another
  EXPECT_EQ(futex(word(1), FUTEX_WAKE, 1), 0);
}

TEST_P(SystemCall, futex_that_writes_fails) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  *word(1) = 0;
  snapshot_ = arena_->snapshot();
  EXPECT_EQ(futex(word(1), FUTEX_LOCK_PI, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  const std::uint32_t add_one = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0);
  EXPECT_EQ(futex(word(2), FUTEX_WAKE_OP, 1, word(1), add_one), -1);
  EXPECT_EQ(errno, EFAULT);
  open(1);
  EXPECT_EQ(futex(word(2), FUTEX_WAKE_OP, 1, word(1), add_one), 0);
  EXPECT_EQ(*word(1), 1U);
  *word(1) = 0;
  EXPECT_EQ(futex(word(1), FUTEX_LOCK_PI, 0), 0);
  EXPECT_EQ(futex(word(1), FUTEX_UNLOCK_PI, 0), 0);
}

/// Makes a robust mutex at the place whose owner has died; `meanwhile` runs just before the death.
template <class F>
int trylock_after_the_owners_death(std::byte* at, F&& meanwhile) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t* const mutex = reinterpret_cast<pthread_mutex_t*>(at);
  pthread_mutex_init(mutex, &attributes);
  std::thread([&] {
    pthread_mutex_lock(mutex);
    meanwhile();
  }).join();
  return pthread_mutex_trylock(mutex);
}

TEST_P(SystemCall, robust_mutex_of_a_dead_owner_is_never_told_on_a_protected_page) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer knows no robust mutexes";
  EXPECT_EQ(trylock_after_the_owners_death(page(1), [] {}), EOWNERDEAD);
  EXPECT_EQ(trylock_after_the_owners_death(page(2), [&] { snapshot_ = arena_->snapshot(); }), EBUSY);
}

}  // namespace
}  // namespace cow::test

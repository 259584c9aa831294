// Promise: writable() makes a buffer fit for a system call; retry_on_efault() also while others take snapshots.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <thread>

#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/pages.hpp"
#include "syscalls/filled_ends.hpp"

namespace cow::test {
namespace {

class WriteGuard : public BarrierTest {
 protected:
  static std::span<std::byte> pages_of(const Arena& arena, std::size_t first, std::size_t count) {
    return {page_at(arena, first), count * page_size()};
  }
};
COW_FOR_EVERY_BARRIER(WriteGuard);

TEST_P(WriteGuard, writable_gives_the_same_buffer_ready) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Snapshot snapshot = arena.snapshot();
  std::uint32_t* const numbers = reinterpret_cast<std::uint32_t*>(page_at(arena, 1));
  const std::span<std::uint32_t> buffer = writable(arena, std::span(numbers, 2 * page_size() / sizeof *numbers));
  EXPECT_EQ(buffer.data(), numbers);
  EXPECT_EQ(::getrandom(buffer.data(), 256, 0), 256);
  EXPECT_TRUE(is_writable(arena.ref(), std::as_bytes(buffer)));
  EXPECT_FALSE(is_writable(arena.ref(), pages_of(arena, 2, 2)));
  EXPECT_TRUE(shows(snapshot, Picture(4, 1)));
}

TEST_P(WriteGuard, writable_ends_with_the_next_snapshot) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const std::span<std::byte> buffer = writable(arena, pages_of(arena, 1, 1));
  const Snapshot snapshot = arena.snapshot();
  EXPECT_FALSE(is_writable(arena.ref(), buffer));
  EXPECT_EQ(::getrandom(buffer.data(), 1, 0), -1);
  EXPECT_EQ(errno, EFAULT);
}

TEST_P(WriteGuard, writable_refuses_what_is_not_in_the_arena) {
  const Arena arena = make_arena(4);
  std::byte elsewhere[16];
  EXPECT_THROW(writable(arena, std::span<std::byte>(elsewhere)), std::invalid_argument);
}

TEST_P(WriteGuard, retry_gets_past_a_snapshot_at_the_worst_moment) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Ends pipe = Ends::pipe();
  pipe.put("read at last");
  Snapshot snapshot;
  int calls = 0;
  const std::span<std::byte> buffer = pages_of(arena, 1, 2);
  const ssize_t got = retry_on_efault(arena, buffer, [&] {
    if (++calls <= 3) snapshot = arena.snapshot();
    return ::read(pipe.reading_end(), buffer.data(), buffer.size());
  });
  EXPECT_EQ(got, 12);
  EXPECT_GE(calls, 2);  // not 4: pages that recur may stay writable
  EXPECT_EQ(std::memcmp(buffer.data(), "read at last", 12), 0);
  EXPECT_TRUE(shows(snapshot, Picture(4, 1)));
}

TEST_P(WriteGuard, retry_gets_past_a_fork) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Ends pipe = Ends::pipe();
  pipe.put("x");
  int calls = 0;
  const std::span<std::byte> buffer = pages_of(arena, 1, 1);
  const ssize_t got = retry_on_efault(arena, buffer, [&] {
    if (++calls == 1) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(0);
      ::waitpid(child, nullptr, 0);
    }
    return ::read(pipe.reading_end(), buffer.data(), buffer.size());
  });
  EXPECT_EQ(got, 1);
  EXPECT_EQ(calls, 2);
}

TEST_P(WriteGuard, retry_hands_back_an_efault_that_is_not_ours) {
  Arena arena = make_arena(4);
  const ForeignPage elsewhere;
  int calls = 0;
  const ssize_t got = retry_on_efault(arena, pages_of(arena, 1, 1), [&] {
    ++calls;
    return ::getrandom(elsewhere.address(), 16, 0);
  });
  EXPECT_EQ(got, -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(calls, 2);
}

TEST_P(WriteGuard, retry_hands_back_other_errors) {
  Arena arena = make_arena(4);
  int calls = 0;
  const std::span<std::byte> buffer = pages_of(arena, 1, 1);
  const ssize_t got = retry_on_efault(arena, buffer, [&] { return ++calls, ::read(-1, buffer.data(), buffer.size()); });
  EXPECT_EQ(got, -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(calls, 1);
}

TEST_P(WriteGuard, retry_with_a_peek_keeps_datagrams) {
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Ends sockets = Ends::sockets(SOCK_DGRAM);
  sockets.put("first");
  sockets.put("second");
  Snapshot snapshot;
  int calls = 0;
  const std::span<std::byte> buffer = pages_of(arena, 1, 1);
  const ssize_t got = retry_on_efault(arena, buffer, [&] {
    if (++calls == 1) snapshot = arena.snapshot();
    return ::recv(sockets.reading_end(), buffer.data(), buffer.size(), MSG_PEEK);
  });
  ASSERT_EQ(got, 5);
  EXPECT_EQ(std::memcmp(buffer.data(), "first", 5), 0);
  EXPECT_EQ(::recv(sockets.reading_end(), nullptr, 0, 0), 0);  // taken out
  char next[16];
  EXPECT_EQ(::recv(sockets.reading_end(), next, sizeof next, MSG_DONTWAIT), 6);
}

TEST_P(WriteGuard, retry_reads_everything_beside_a_thread_that_snapshots) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  const Ends pipe = Ends::pipe();
  std::atomic<bool> done{false};
  std::thread snapshots([&] {
    while (!done.load(std::memory_order_relaxed)) const Snapshot passing = arena.snapshot();
  });
  const int rounds = under_sanitizer ? 200 : 2000;
  const std::span<std::byte> buffer = pages_of(arena, 2, 3).subspan(100, page_size());
  int wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string text = "message " + std::to_string(round);
    pipe.put(text);
    const ssize_t got =
        retry_on_efault(arena, buffer, [&] { return ::read(pipe.reading_end(), buffer.data(), text.size()); });
    if (got != static_cast<ssize_t>(text.size()) || std::memcmp(buffer.data(), text.data(), text.size()) != 0) ++wrong;
  }
  done.store(true);
  snapshots.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace cow::test

// Promise: prepare_write makes pages writable without faults, so that system calls can fill them; what is shared stays.
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class PrepareWrite : public BarrierTest {};
COW_FOR_EVERY_BARRIER(PrepareWrite);

/// A pipe that holds some text; read() takes it out.
class FilledPipe {
 public:
  explicit FilledPipe(const std::string& text) {
    EXPECT_EQ(::pipe(ends_), 0);
    EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  FilledPipe(const FilledPipe&) = delete;
  FilledPipe& operator=(const FilledPipe&) = delete;
  ~FilledPipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  int reading_end() const { return ends_[0]; }

 private:
  int ends_[2] = {-1, -1};
};

TEST_P(PrepareWrite, lets_a_system_call_fill_protected_memory) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(4));
  painted.paint_run(0, 4, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  const FilledPipe pipe("written by the kernel");
  std::byte* const target = page_at(painted.arena(), 1) + 10;
  ASSERT_EQ(::read(pipe.reading_end(), target, 100), -1);  // a protected page gives an error, not a signal
  ASSERT_EQ(errno, EFAULT);
  painted.arena().prepare_write(target, 100);
  ASSERT_EQ(::read(pipe.reading_end(), target, 100), 21);  // nothing of the pipe was lost
  EXPECT_EQ(std::memcmp(target, "written by the kernel", 21), 0);
  EXPECT_TRUE(shows(snapshot, Picture(4, 1)));
}

TEST_P(PrepareWrite, covers_every_page_that_the_range_touches) {
  Arena arena = make_arena(8);
  fill_run(arena, 0, 8, 1);
  const Snapshot snapshot = arena.snapshot();
  arena.prepare_write(page_at(arena, 2) - 1, page_size() + 2);  // the last byte of page 1 to the first of page 3
  const std::uint64_t before = arena.stats().faults();
  for (const std::size_t page : {1U, 2U, 3U}) fill(arena, page, 2);
  EXPECT_EQ(arena.stats().faults(), before);
  EXPECT_TRUE(shows(snapshot, Picture(8, 1)));
  EXPECT_TRUE(shows(arena, {1, 2, 2, 2, 1, 1, 1, 1}));
}

TEST_P(PrepareWrite, saves_the_faults_of_memory_never_written) {
  Arena arena = make_arena(64);
  arena.prepare_write(arena.data(), arena.capacity());
  const std::uint64_t before = arena.stats().faults();
  fill_run(arena, 0, 64, 1);
  EXPECT_EQ(arena.stats().faults(), before);
}

TEST_P(PrepareWrite, alone_changes_no_content) {
  Painted painted(make_arena(16));
  painted.paint_run(3, 8, 1);
  const Picture then = painted.picture();
  const Snapshot snapshot = painted.arena().snapshot();
  Painted clone(snapshot.clone(), then);
  painted.arena().prepare_write(painted.arena().data(), painted.arena().capacity());
  clone.arena().prepare_write(clone.arena().data(), clone.arena().capacity());
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(shows(snapshot, then));
}

TEST_P(PrepareWrite, in_a_clone_leaves_its_base_alone) {
  Painted painted(make_arena(8));
  painted.paint_run(0, 8, 1);
  const Snapshot base = painted.arena().snapshot();
  Painted clone(base.clone(), Picture(8, 1));
  clone.arena().prepare_write(page_at(clone.arena(), 2), 4 * page_size());
  clone.paint_run(2, 4, 2);
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(base, Picture(8, 1)));
}

TEST_P(PrepareWrite, is_undone_by_the_next_snapshot) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(4));
  painted.paint_run(0, 4, 1);
  painted.arena().prepare_write(painted.arena().data(), painted.arena().capacity());
  const Snapshot snapshot = painted.arena().snapshot();
  const FilledPipe pipe("x");
  EXPECT_EQ(::read(pipe.reading_end(), painted.arena().data(), 1), -1);
  EXPECT_EQ(errno, EFAULT);
  painted.paint_run(0, 4, 2);
  EXPECT_TRUE(shows(snapshot, Picture(4, 1)));
}

// Not for a moment: the kernel may be writing there. Pages that a clone made its own lie alone among others that it has
// not opened yet, and those are opened many at a time.
TEST_P(PrepareWrite, holds_while_other_threads_write_beside_the_pages) {
  constexpr std::size_t distance = 512, count = 100;
  Arena arena = make_arena(count * distance);
  for (std::size_t i = 0; i < count; ++i) put_mark(arena, i * distance, 1);
  Arena clone = arena.clone();
  const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  ASSERT_NE(zeros, -1);
  std::atomic<std::size_t> at{0};
  std::atomic<std::uint64_t> reads{0}, failed{0};
  clone.prepare_write(clone.data(), 1);
  std::thread reader([&] {
    for (std::size_t i = 0; (i = at) < count; ++reads) {
      if (::read(zeros, page_at(clone, i * distance), page_size()) != static_cast<ssize_t>(page_size())) ++failed;
    }
  });
  for (std::size_t i = 0; i < count; ++i) {
    clone.prepare_write(page_at(clone, i * distance), 1);
    at = i;
    for (const std::uint64_t enough = reads + 10; reads < enough;) std::this_thread::yield();
    put_mark(clone, i * distance + 100, 2);
    for (const std::uint64_t enough = reads + 2; reads < enough;) std::this_thread::yield();
  }
  at = count;
  reader.join();
  ::close(zeros);
  EXPECT_EQ(failed, 0U) << "of " << reads;
}

TEST_P(PrepareWrite, of_no_bytes_does_nothing) {
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Snapshot snapshot = arena.snapshot();
  EXPECT_NO_THROW(arena.prepare_write(arena.data(), 0));
  EXPECT_NO_THROW(arena.prepare_write(arena.data() + arena.capacity(), 0));
  EXPECT_EQ(snapshot, arena.snapshot());
}

TEST_P(PrepareWrite, can_be_repeated) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(16));
  painted.paint_run(0, 16, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  for (int round = 0; round < 5; ++round)
    painted.arena().prepare_write(page_at(painted.arena(), static_cast<std::size_t>(round)), 8 * page_size());
  painted.paint_run(0, 12, 2);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(shows(snapshot, Picture(16, 1)));
  EXPECT_EQ(painted.arena().stats().history_frames_used, 12U);
}

}  // namespace
}  // namespace cow::test

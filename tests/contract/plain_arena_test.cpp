// Promise: until its first version an arena is plain memory under every barrier. No store is caught, no system call
// fails, nothing is copied. All that has memory by then is in the first version, and from there on everything is as ever.
#include <cstddef>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/io_ring.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"
#include "syscalls/filled_ends.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 2048;  // four extents

class PlainArena : public BarrierTest {
 protected:
  /// Whether the kernel may store a byte to the page for somebody.
  static bool takes_system_calls(const Arena& arena, std::size_t page) {
    const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    const ssize_t got = ::read(zeros, page_at(arena, page) + page_size() / 2, 1);
    ::close(zeros);
    return got == 1;
  }
  /// They were discarded.
  static void forget(Painted& painted, std::size_t first, std::size_t count) {
    Picture picture = painted.picture();
    for (std::size_t page = first; page < first + count; ++page) picture[page] = 0;
    painted.set_picture(picture);
  }
  static std::uint64_t faults(const Arena& arena) {
    const ArenaStats stats = arena.stats();
    return stats.faults_first_touch + stats.faults_sole_owner + stats.faults_moved + stats.faults_to_history;
  }
};
COW_FOR_EVERY_BARRIER(PlainArena);

TEST_P(PlainArena, takes_stores_and_system_calls_until_its_first_version) {
  Painted painted(quiet_arena(GetParam(), pages));
  Arena& arena = painted.arena();
  for (std::size_t page = 0; page < pages; page += 300) painted.paint(page, page + 1);
  for (std::size_t page = 1; page < pages; page += 100) EXPECT_TRUE(takes_system_calls(arena, page)) << page;
  EXPECT_EQ(faults(arena), 0U);
  EXPECT_TRUE(arena.ref().is_writable(page_at(arena, 1000)));
  EXPECT_EQ(arena.barrier(), GetParam());
  const Snapshot first = arena.snapshot();
  const Picture then = painted.picture();
  EXPECT_EQ(arena.barrier(), GetParam());
  EXPECT_EQ(arena.stats().barrier_changes, 0U);
  if (GetParam() != Barrier::kernel) {
    for (std::size_t page = 0; page < pages; page += 50) EXPECT_FALSE(takes_system_calls(arena, page)) << page;
    EXPECT_FALSE(takes_system_calls(arena, 1001)) << "never written";
  }
  for (std::size_t page = 0; page < pages; page += 150) painted.paint(page, page + 2);
  EXPECT_TRUE(shows(first, then));
  const Snapshot second = arena.snapshot();
  EXPECT_TRUE(shows(second, painted.picture()));
  arena.rollback(first);
  EXPECT_TRUE(shows(arena, then));
}

TEST_P(PlainArena, counts_what_has_memory_as_its_own) {
  Arena arena = make_arena(pages);
  for (std::size_t page = 0; page < pages; page += 100) put_mark(arena, page, 1);
  EXPECT_EQ(arena.stats().pages_private, 21U);
  EXPECT_EQ(arena.stats().file_frames_used, 21U);
  EXPECT_EQ(account_memory(arena).total(), account_memory(arena).kernel_bytes);
  const Snapshot first = arena.snapshot();
  EXPECT_EQ(arena.stats().pages_private, 21U);
  EXPECT_EQ(arena.stats().file_frames_used, 21U);
  EXPECT_EQ(arena.stats().pages_first_touched, 21U);
  EXPECT_EQ(account_memory(arena).total(), account_memory(arena).kernel_bytes);
  EXPECT_EQ(arena.stats().file_bytes, 21 * page_size());
}

// Full from the beginning up to some page is the common case, and found out in another way than others.
TEST_P(PlainArena, counts_just_that_wherever_it_lies) {
  constexpr std::size_t count = 64;
  for (std::uint64_t shape : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 40) - 1,
                              (std::uint64_t{1} << 40) - 1 - (1 << 7), ~std::uint64_t{1}, std::uint64_t{1} << 63,
                              (std::uint64_t{1} << 63) + 1, (std::uint64_t{1} << 32) + (1 << 16) - 2,
                              0x00F0'FF0F'0000'FFFFU}) {
    const Arena before = make_arena(count);
    Arena arena = make_arena(count);
    Picture picture(count, 0);
    for (std::size_t page = 0; page < count; ++page) {
      if ((shape >> page & 1) != 0) fill(arena, page, picture[page] = page + 1);
    }
    const Snapshot cut = arena.snapshot();
    EXPECT_EQ(arena.stats().pages_private, static_cast<std::uint64_t>(std::popcount(shape))) << std::hex << shape;
    EXPECT_EQ(arena.stats().file_frames_used, arena.stats().pages_private) << std::hex << shape;
    EXPECT_TRUE(shows(cut, picture)) << std::hex << shape;
    for (std::size_t page = 0; page < count; page += 3) put_mark(arena, page, 99);
    EXPECT_TRUE(shows(cut, picture)) << std::hex << shape;
    const Snapshot second = arena.snapshot();
    EXPECT_EQ(mark_of(second, 63), 99U);
  }
}

TEST_P(PlainArena, that_is_vast_costs_what_was_written) {
  Arena arena = make_arena(std::size_t{1} << 28);  // a TiB of pages of 4 KiB
  for (std::size_t page = 0; page < page_count(arena); page += page_count(arena) / 8) put_mark(arena, page + 7, page + 1);
  const std::size_t before = mapping_count();
  const Snapshot first = arena.snapshot();
  EXPECT_LE(mapping_count(), before + 2 * 8);
  EXPECT_LE(arena.stats().mappings, 2 * 8 + 1U);
  for (std::size_t page = 0; page < page_count(arena); page += page_count(arena) / 8) {
    put_mark(arena, page + 7, 0);
    put_mark(arena, page + 8, 1);
    EXPECT_EQ(mark_of(first, page + 7), page + 1);
    EXPECT_EQ(mark_of(first, page + 8), 0U);
  }
}

TEST_P(PlainArena, takes_known_writes_prepared_pages_and_discards) {
  Painted painted(make_arena(pages));
  Arena& arena = painted.arena();
  painted.paint_run(10, 20, 1);
  write_page(painted, 12, 2);
  write_page(painted, 600, 3);
  arena.prepare_write(page_at(arena, 700), 600 * page_size());
  painted.paint_run(710, 5, 4);
  arena.discard(page_at(arena, 15), 3 * page_size());
  forget(painted, 15, 3);
  arena.discard(page_at(arena, 600), page_size());
  forget(painted, 600, 1);
  arena.discard(page_at(arena, 712), page_size());
  forget(painted, 712, 1);
  painted.paint(16, 5);
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(takes_system_calls(arena, 800));
  const Snapshot first = arena.snapshot();
  const Picture then = painted.picture();
  EXPECT_TRUE(shows(first, then));
  painted.paint_run(0, pages, 6);
  EXPECT_TRUE(shows(first, then));
  arena.rollback(first);
  EXPECT_TRUE(shows(arena, then));
}

TEST_P(PlainArena, has_pages_excluded) {
  Painted painted(make_arena(pages));
  Arena& arena = painted.arena();
  painted.paint_run(0, 40, 1);
  painted.paint_run(1000, 40, 2);
  arena.exclude(page_at(arena, 8), 8 * page_size());
  arena.exclude(page_at(arena, 1030), 600 * page_size());
  EXPECT_TRUE(painted.is_right());
  EXPECT_TRUE(takes_system_calls(arena, 20));
  const Snapshot first = arena.snapshot();
  painted.paint_run(0, pages, 3);
  EXPECT_EQ(mark_of(first, 7), 1U);
  EXPECT_EQ(mark_of(first, 8), 0U);
  EXPECT_EQ(mark_of(first, 1029), 2U);
  EXPECT_EQ(mark_of(first, 1030), 0U);
  arena.rollback(first);
  EXPECT_EQ(mark_of(arena, 7), 1U);
  EXPECT_EQ(mark_of(arena, 8), 3U);
  EXPECT_EQ(mark_of(arena, 1700), 0U);
}

TEST_P(PlainArena, is_cut_by_a_fork_whose_child_has_what_was_there) {
  Arena arena = make_arena(pages);
  fill_run(arena, 500, 20, 1);
  Ends ends = Ends::pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    char go;
    if (::read(ends.reading_end(), &go, 1) != 1) ::_exit(2);
    bool right = true;
    for (std::size_t page = 500; page < 520; ++page) right = right && filled(page_at(arena, page), 1);
    right = right && filled(page_at(arena, 100), 0) && filled(page_at(arena, 520), 0);
    put_mark(arena, 501, 9);
    ::_exit(right ? 0 : 1);
  }
  fill_run(arena, 90, 450, 2);
  ends.put("g");
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(filled(page_at(arena, 501), 2));
}

TEST_P(PlainArena, is_protected_at_once_where_stores_are_refused) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, 20, 1);
  {
    const RefuseWrites refused(arena);
    EXPECT_FALSE(takes_system_calls(arena, 0));
    EXPECT_FALSE(takes_system_calls(arena, 1500));
  }
  put_mark(arena, 3, 2);
  const Snapshot first = arena.snapshot();
  EXPECT_EQ(mark_of(first, 3), 2U);
  EXPECT_EQ(mark_of(first, 4), 1U);
}

TEST_P(PlainArena, is_protected_at_once_where_faults_are_profiled) {
  Arena arena = make_arena(pages);
  fill_run(arena, 0, 20, 1);
  start_fault_profile({.every = 1});
  const std::uint64_t before = faults(arena);
  fill_run(arena, 0, 20, 2);
  const Arena made_meanwhile = make_arena(pages);
  put_mark(made_meanwhile, 5, 1);
  stop_fault_profile();
  EXPECT_GT(faults(arena), before);
  EXPECT_GT(faults(made_meanwhile), 0U);
  const Snapshot first = arena.snapshot();
  EXPECT_TRUE(filled(page_at(arena, 19), 2));
  EXPECT_EQ(mark_of(first, 19), 2U);
}

// A transfer that began before the first version may end after it: its page has memory and may hold nothing yet.
TEST_P(PlainArena, keeps_what_a_device_stores_after_the_first_version_to_pages_prepared_before) {
  IoRing ring;
  if (!ring) GTEST_SKIP() << "io_uring is not to be had here";
  Arena arena = make_arena(pages);
  const Ends pipe = Ends::pipe();
  arena.prepare_write(page_at(arena, 1600), page_size());
  if (!ring.register_buffer(page_at(arena, 1600), page_size())) GTEST_SKIP() << "the kernel pins no memory";
  ASSERT_TRUE(ring.begin_read(pipe.reading_end(), page_at(arena, 1600), 5, true));
  const Snapshot first = arena.snapshot();
  pipe.put("words");
  ASSERT_EQ(ring.wait(), 5);
  EXPECT_EQ(std::memcmp(page_at(arena, 1600), "words", 5), 0);
  arena.prepare_write(page_at(arena, 1600), page_size());
  const Snapshot second = arena.snapshot();
  Bytes content(5);
  second.read(1600 * page_size(), content);
  EXPECT_EQ(std::memcmp(content.data(), "words", 5), 0);
}

TEST_P(PlainArena, keeps_what_a_device_stores_after_the_first_version_to_pages_that_have_memory) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  IoRing ring;
  if (!ring) GTEST_SKIP() << "io_uring is not to be had here";
  Arena arena = make_arena(pages);
  const Ends pipe = Ends::pipe();
  if (!ring.register_buffer(page_at(arena, 1600), page_size())) GTEST_SKIP() << "the kernel pins no memory";
  ASSERT_TRUE(ring.begin_read(pipe.reading_end(), page_at(arena, 1600), 5, true));
  const Snapshot first = arena.snapshot();
  pipe.put("words");
  ASSERT_EQ(ring.wait(), 5);
  put_mark(arena, 0, 1);
  const Snapshot second = arena.snapshot();
  Bytes content(5);
  second.read(1600 * page_size(), content);
  EXPECT_EQ(std::memcmp(content.data(), "words", 5), 0);
}

}  // namespace
}  // namespace cow::test

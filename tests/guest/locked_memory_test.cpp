// Promise: where mlockall(MCL_FUTURE) locks all new mappings, memory is taken only where it is touched; what the
// program locked by mlock() stays locked when its page moves.
#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "guest/barrier_argument.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/vm_flags.hpp"

namespace cow::test {
namespace {

constexpr int cannot = 77;  // the exit code of a body that this machine does not let run

class LockedMemory : public GuestTest {
 protected:
  static void expect_passes(const std::string& body) {
    if (under_sanitizer) GTEST_SKIP() << "the run-times of sanitizers take mlock() away";
    const ChildResult outcome = run(body);
    if (outcome.exited_with(cannot)) GTEST_SKIP() << "mlockall() is refused here";
    EXPECT_TRUE(outcome.exited_with(0)) << outcome.how();
  }
};
COW_FOR_EVERY_BARRIER(LockedMemory);

COW_CHILD_BODY(all_locked) {
  constexpr std::size_t pages = std::size_t{64} << 8;  // 64 MiB and more
  (void)arena_under(argument, 1);                      // what the first arena of a process needs is there
  if (::mlockall(MCL_FUTURE) != 0) return cannot;
  const std::uint64_t at_first = resident_bytes();
  const auto more = [&](std::uint64_t megabytes) {
    const std::uint64_t now = resident_bytes(), most = (megabytes << 20) + at_first;
    if (now > most) std::fprintf(stderr, "%lu KiB more are resident\n", (now - at_first) >> 10);
    return now > most || memory_file_bytes() > (megabytes << 20);
  };
  Arena arena = arena_under(argument, pages);
  CHECK_IN_CHILD(!more(2));
  for (std::size_t page = 0; page < pages; page += 1024) put_mark(arena, page, page + 1);
  const Snapshot snapshot = arena.snapshot();
  Arena clone = snapshot.clone();
  const View view = snapshot.view();
  CHECK_IN_CHILD(!more(4));
  for (std::size_t page = 0; page < pages; page += 1024) put_mark(arena, page, page + 2);
  (void)arena.snapshot();
  for (std::size_t page = 0; page < pages; page += 1024) put_mark(arena, page, page + 3);  // to history
  const std::uint64_t word = 5;
  arena.write(page_at(arena, 1), &word, sizeof word);
  CHECK_IN_CHILD(!more(6));
  put_mark(clone, 1024, 7);
  arena.rollback(snapshot);
  CHECK_IN_CHILD(!more(8));
  CHECK_IN_CHILD(mapping_at(page_at(arena, 0)).locked() && mapping_at(page_at(arena, 5000)).locked());
  for (std::size_t page = 0; page < pages; page += 1024) {
    CHECK_IN_CHILD(mark_of(arena, page) == page + 1 && mark_of(view, page) == page + 1);
  }
  return 0;
}

TEST_P(LockedMemory, of_new_mappings_is_taken_where_it_is_touched) { expect_passes("all_locked"); }

COW_CHILD_BODY(part_locked) {
  Arena arena = arena_under(argument, 64);
  fill_run(arena, 0, 64, 1);
  if (::mlock(page_at(arena, 8), 8 * page_size()) != 0) return cannot;
  const View view = arena.snapshot().view();
  for (const std::size_t page : {7U, 8U, 11U, 15U, 16U}) {
    fill(arena, page, 2);
    CHECK_IN_CHILD(mapping_at(page_at(arena, page)).locked() == (page >= 8 && page < 16));
    CHECK_IN_CHILD(mark_of(view, page) == 1);
  }
  CHECK_IN_CHILD(::munlock(page_at(arena, 0), 64 * page_size()) == 0);
  const View again = arena.snapshot().view();
  fill(arena, 11, 3);
  CHECK_IN_CHILD(!mapping_at(page_at(arena, 11)).locked());
  return 0;
}

TEST_P(LockedMemory, stays_locked_where_pages_move) { expect_passes("part_locked"); }

}  // namespace
}  // namespace cow::test

// Promise: under RLIMIT_FSIZE (ulimit -f) an arena's constructor throws and names the limit; one that is there already
// works on, and nobody gets SIGXFSZ.
#include <csignal>
#include <cstring>
#include <string>
#include <system_error>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "guest/barrier_argument.hpp"
#include "support/limits.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class FileSizeLimit : public GuestTest {};
COW_FOR_EVERY_BARRIER(FileSizeLimit);

constexpr std::uint64_t limit_bytes = 8192;

bool none_is_pending() {
  sigset_t pending;
  return ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGXFSZ) == 0;
}

COW_CHILD_BODY(limited_before) {
  {
    const LoweredLimit limit(RLIMIT_FSIZE, limit_bytes);
    try {
      const Arena arena = arena_under(argument, 16);
      return 2;
    } catch (const std::system_error& error) {
      CHECK_IN_CHILD(error.code().value() == EFBIG);
      CHECK_IN_CHILD(std::strstr(error.what(), "RLIMIT_FSIZE") != nullptr);
    }
  }
  CHECK_IN_CHILD(none_is_pending());
  CHECK_IN_CHILD(shows(arena_under(argument, 16), Picture(16, 0)));
  return 0;
}

TEST_P(FileSizeLimit, at_the_first_arena_is_named_by_the_error) { EXPECT_BODY_PASSES("limited_before"); }

COW_CHILD_BODY(limited_later) {
  Arena arena = arena_under(argument, 256);
  fill_run(arena, 0, 128, 1);
  const LoweredLimit limit(RLIMIT_FSIZE, limit_bytes);
  Picture expected(256, 0), first(256, 0);
  for (std::size_t page = 0; page < 128; ++page) expected[page] = first[page] = 1;
  const Snapshot before = arena.snapshot();
  const Arena clone = before.clone();
  const auto write = [&](std::size_t page, std::uint64_t value) { fill(arena, page, expected[page] = value); };
  for (std::size_t page = 0; page < 128; page += 3) write(page, 2);  // pages that move
  const Snapshot second = arena.snapshot();
  const Picture at_second = expected;
  for (std::size_t page = 0; page < 256; page += 2) write(page, 3);  // history, and first touches
  arena.discard(page_at(arena, 100), 4 * page_size());
  for (std::size_t page = 100; page < 104; ++page) expected[page] = 0;
  (void)arena.snapshot();
  const std::vector<std::uint64_t> words(4 * words_in_page(), 4);
  arena.write(page_at(arena, 200), words.data(), 4 * page_size());  // known writes, to pages never touched too
  for (std::size_t page = 200; page < 204; ++page) expected[page] = 4;
  CHECK_IN_CHILD(shows(arena, expected));
  CHECK_IN_CHILD(shows(clone, first));
  CHECK_IN_CHILD(shows(second.view(), at_second));
  fill(clone, 7, 9);
  first[7] = 9;
  CHECK_IN_CHILD(shows(clone, first));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(shows(arena, expected) ? 0 : 1);
  int status = 0;
  CHECK_IN_CHILD(::waitpid(child, &status, 0) == child && status == 0);
  arena.rollback(before);
  first[7] = 1;
  CHECK_IN_CHILD(shows(arena, first));
  CHECK_IN_CHILD(none_is_pending());
  return 0;
}

TEST_P(FileSizeLimit, that_comes_later_limits_nothing) { EXPECT_BODY_PASSES("limited_later"); }

}  // namespace
}  // namespace cow::test

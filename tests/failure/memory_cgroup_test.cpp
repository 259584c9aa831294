// Limit: in a memory cgroup that is full the kernel ends the process with SIGKILL, whichever store or call asks for
// more: no error comes that could be told. Promise: writes that a reserve covers do not ask.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/memory_cgroup.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t written = 8192;  // pages; with copies of all of them the group is overfull
constexpr std::uint64_t slack_bytes = std::uint64_t{4} << 20;  // for the kernel's own memory, such as that for mappings
constexpr int no_limit_here = 77;

/// "barrier what path".
struct Request {
  explicit Request(const std::string& text) : what(text.at(2)), group(MemoryCgroup::at(text.substr(4))) {
    options = options_for(text.at(0) == 'm' ? Barrier::mprotect : Barrier::userfaultfd, 2 * written);
    if (what == 'r' || what == 's') options.reserve_history_bytes = written * page_size();
  }
  char what;
  MemoryCgroup group;
  ArenaOptions options;
};

COW_CHILD_BODY(write_in_a_full_group) {
  const Request request(argument);
  if (!request.group.enter()) return no_limit_here;
  Arena arena(request.options);
  fill_run(arena, 0, written, 1);
  const Snapshot first = arena.snapshot();
  fill_run(arena, 0, written, 2);
  Snapshot second;
  if (request.what != 's') second = arena.snapshot();
  if (!request.group.leave(slack_bytes)) return no_limit_here;
  if (request.what == 's') second = arena.snapshot();
  if (request.what == 'p') arena.prepare_write(arena.data(), written * page_size());
  const std::size_t first_page = request.what == 'f' ? written : 0;
  for (std::size_t i = 0; i < written; ++i) put_mark(arena, first_page + i * 389 % written, 77);
  for (std::size_t page = 0; page < written; ++page) {
    CHECK_IN_CHILD(mark_of(arena, first_page + page) == 77);
    CHECK_IN_CHILD(page % 512 != 0 || (mark_of(second, page) == 2 && mark_of(first, page) == 1));
  }
  return 0;
}

class FullGroup : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
    if (!group_) GTEST_SKIP() << "no memory cgroup can be made here: that takes root, and a cgroup file system";
  }
  /// `what`: r, writes from the reserve; w, without one; f, first touches; p, prepare_write; s, snapshot() with a
  /// reserve.
  ChildResult write(char what) {
    const std::string barrier = GetParam() == Barrier::mprotect ? "m " : "u ";
    return run_child("write_in_a_full_group", barrier + what + " " + group_.path());
  }

 private:
  MemoryCgroup group_ = MemoryCgroup::make();
};
COW_FOR_EVERY_BARRIER(FullGroup);

TEST_P(FullGroup, serves_writes_from_the_reserve) {
  const ChildResult result = write('r');
  if (result.exited_with(no_limit_here)) GTEST_SKIP() << "this cgroup takes no limit";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

TEST_P(FullGroup, is_deadly_to_who_needs_more_memory) {
  for (const char what : {'w', 'f', 'p', 's'}) {
    const ChildResult result = write(what);
    if (result.exited_with(no_limit_here)) GTEST_SKIP() << "this cgroup takes no limit";
    EXPECT_TRUE(result.died_by(SIGKILL)) << what << ": " << result.how();
    EXPECT_EQ(result.error_text, "") << what;
  }
}

}  // namespace
}  // namespace cow::test

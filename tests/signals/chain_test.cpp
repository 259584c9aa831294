// Promise: whoever installs a handler, and whenever, gets each fault that is its own, once, and the way it asked for;
// two that keep each other for predecessors do not go round in circles.
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

ForeignPage* foreign = nullptr;
volatile int calls = 0;
struct sigaction before_them;

/// What a polite library does that came after us: its own faults first, all others to who was there before.
void polite(int signo, siginfo_t* info, void* context) {
  calls = calls + 1;
  if (calls > 20) ::_exit(4);
  if (info->si_addr == foreign->address()) return foreign->open();
  if ((before_them.sa_flags & SA_SIGINFO) != 0) return before_them.sa_sigaction(signo, info, context);
  ::signal(signo, SIG_DFL);
}

/// One round: the arena still works, and the foreign page's fault arrives once.
bool both_work(Arena& arena) {
  if (!arena_works(arena)) return false;
  calls = 0;
  foreign->shut();
  foreign->word() = 1;
  return calls == 1;
}

struct Flags {
  const char* name;
  int flags;
};
const Flags every_flag[] = {{"plainly", 0},
                            {"nodefer", SA_NODEFER},
                            {"onstack", SA_ONSTACK},
                            {"restart", SA_RESTART},
                            {"onstack_and_nodefer", SA_ONSTACK | SA_NODEFER}};

int flags_named(const std::string& name) {
  for (const Flags& flags : every_flag)
    if (name == flags.name) return flags.flags;
  ::_exit(99);
}

COW_CHILD_BODY(they_come_first) {
  ForeignPage page;
  foreign = &page;
  before_them = set_handler(polite, flags_named(argument), SIGUSR1);
  Arena arena = small_arena();
  return both_work(arena) && both_work(arena) ? 0 : 1;
}

COW_CHILD_BODY(they_come_later) {
  ForeignPage page;
  foreign = &page;
  Arena arena = small_arena();
  before_them = set_handler(polite, flags_named(argument), SIGUSR1);
  if (fault_handler_installed()) return 2;
  return both_work(arena) && both_work(arena) ? 0 : 1;
}

COW_CHILD_BODY(they_come_later_and_we_return) {
  ForeignPage page;
  foreign = &page;
  Arena arena = small_arena();
  before_them = set_handler(polite, flags_named(argument), SIGUSR1);
  install_fault_handler();
  if (!fault_handler_installed()) return 2;
  return both_work(arena) && both_work(arena) ? 0 : 1;
}

COW_CHILD_BODY(they_come_before_and_later_and_we_return_often) {
  ForeignPage page;
  foreign = &page;
  (void)set_handler(polite, flags_named(argument));
  Arena arena = small_arena();
  for (int round = 0; round < 12; ++round) {
    before_them = set_handler(polite, flags_named(argument), SIGUSR1);
    install_fault_handler();
    if (!both_work(arena)) return 1;
  }
  return 0;
}

class TwoHandlers : public testing::TestWithParam<std::tuple<const char*, Flags>> {};

TEST_P(TwoHandlers, live_together) {
  const auto& [order, flags] = GetParam();
  const ChildResult result = run_child(order, flags.name);
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

INSTANTIATE_TEST_SUITE_P(
    Orders, TwoHandlers,
    testing::Combine(testing::Values("they_come_first", "they_come_later", "they_come_later_and_we_return",
                                     "they_come_before_and_later_and_we_return_often"),
                     testing::ValuesIn(every_flag)),
    [](const auto& which) { return std::string(std::get<0>(which.param)) + "_" + std::get<1>(which.param).name; });

// -- Circles --------------------------------------------------------------------------------------------------------

COW_CHILD_BODY(a_deadly_fault_in_a_circle) {
  ::signal(SIGSEGV, SIG_DFL);
  ForeignPage page, nobodys;
  foreign = &page;
  Arena arena = small_arena();
  before_them = set_handler(polite, SA_NODEFER);
  install_fault_handler();
  nobodys.word() = 1;
  return 3;
}

COW_CHILD_BODY(a_deadly_fault_in_a_circle_that_began_with_them) {
  ForeignPage page, nobodys;
  foreign = &page;
  (void)set_handler(polite, SA_NODEFER);
  Arena arena = small_arena();
  before_them = set_handler(polite, SA_NODEFER);
  install_fault_handler();
  nobodys.word() = 1;
  return 3;
}

TEST(Circle, of_two_handlers_is_left_for_the_default_action) {
  for (const char* const body : {"a_deadly_fault_in_a_circle", "a_deadly_fault_in_a_circle_that_began_with_them"}) {
    const ChildResult result = run_child(body);
    EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  }
}

sigjmp_buf way_out;
void jump_out(int, siginfo_t*, void*) {
  calls = calls + 1;
  siglongjmp(way_out, 1);
}

// One that jumps out never returns to us: its next fault, at the same depth, is a new one and not the old one come
// back.
COW_CHILD_BODY(they_jump_out_again_and_again) {
  ForeignPage page;
  (void)set_handler(jump_out);
  Arena arena = small_arena();
  static int round = 0;  // static: what a jump leaves of a local is not said
  for (; round < 50; ++round) {
    if (sigsetjmp(way_out, 1) == 0) {
      page.word() = 1;
      return 1;
    }
    if (!arena_works(arena)) return 2;
  }
  return calls == 50 ? 0 : 3;
}

TEST(Circle, is_not_mistaken_for_a_handler_that_jumps_out) {
  const ChildResult result = run_child("they_jump_out_again_and_again");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

// Their handler faults in an arena, and on the foreign page's neighbour, while it handles a fault of its own.
ForeignPage* second = nullptr;
Arena* volatile used_inside = nullptr;  // set just before a store that faults: in that order
void writes_inside(int, siginfo_t* info, void*) {
  calls = calls + 1;
  if (calls > 20) ::_exit(4);
  if (info->si_addr == second->address()) return second->open();
  const Snapshot passing = used_inside->snapshot();
  put_mark(*used_inside, 5, 77);
  second->word() = 1;
  foreign->open();
}

COW_CHILD_BODY(their_handler_faults_in_turn) {
  ForeignPage page, other;
  foreign = &page;
  second = &other;
  (void)set_handler(writes_inside, SA_NODEFER);
  Arena arena = small_arena();
  used_inside = &arena;
  page.word() = 1;
  if (calls != 2 || mark_of(arena, 5) != 77) return 1;
  return arena_works(arena) ? 0 : 2;
}

TEST(Circle, is_not_mistaken_for_a_fault_inside_a_handler) {
  if (under_tsan) GTEST_SKIP() << tsan_blocks_faults_in_handlers;
  const ChildResult result = run_child("their_handler_faults_in_turn");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

// What is to be written lies on a page that their handler opens, and their handler itself writes to the arena.
void opens_and_writes_inside(int, siginfo_t*, void*) {
  calls = calls + 1;
  if (calls > 20) ::_exit(4);
  foreign->open();
  put_mark(*used_inside, 5, 77);
}

COW_CHILD_BODY(a_source_that_they_open) {
  ForeignPage page;
  foreign = &page;
  page.open();
  page.word() = 42;
  page.shut();
  (void)set_handler(opens_and_writes_inside, SA_NODEFER);  // else the store inside would be deadly without us, too
  Arena arena = small_arena();
  used_inside = &arena;
  const Snapshot before = arena.snapshot();
  arena.write(page_at(arena, 3), page.address(), sizeof(std::uint64_t));
  if (calls != 1) return 1;
  if (mark_of(arena, 3) != 42 || mark_of(arena, 5) != 77) return 2;
  return mark_of(before, 3) == 1 && mark_of(before, 5) == 1 ? 0 : 3;
}

TEST(Chain, may_open_what_a_write_is_to_read) {
  if (under_tsan) GTEST_SKIP() << tsan_blocks_faults_in_handlers;
  const ChildResult result = run_child("a_source_that_they_open");
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

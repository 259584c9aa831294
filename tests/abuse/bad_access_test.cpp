// Promise: a bad access to an arena, a view, what is beside them or where they were is told in one line as what it is,
// and is deadly as ever: never a loop.
#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "faults/registry.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/foreign_page.hpp"
#include "support/pages.hpp"
#include "support/small_arena.hpp"

namespace cow::test {
namespace {

constexpr int went_on = 3;  // exit code of a child that survived its fault
constexpr std::size_t pages = 16;

Arena victim(const std::string& barrier = "") {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  Arena arena(options_for(barrier == "userfaultfd" ? Barrier::userfaultfd : Barrier::mprotect, pages, "victim"));
  fill_run(arena, 0, pages, 1);
  return arena;
}

void write_to(const std::byte* at) { *const_cast<volatile std::byte*>(at) = std::byte{1}; }
void read_from(const std::byte* at) { (void)*const_cast<const volatile std::byte*>(at); }

COW_CHILD_BODY(write_past_the_end) {
  Arena arena = victim(argument);
  write_to(arena.data() + arena.capacity() + 24);
  return went_on;
}

COW_CHILD_BODY(read_past_the_end) {
  Arena arena = victim(argument);
  read_from(arena.data() + arena.capacity());
  return went_on;
}

COW_CHILD_BODY(write_before_the_start) {
  Arena arena = victim(argument);
  write_to(arena.data() - 8);
  return went_on;
}

COW_CHILD_BODY(write_past_a_view) {
  Arena arena = victim(argument);
  const View view = arena.snapshot().view();
  write_to(view.data() + view.size());
  return went_on;
}

COW_CHILD_BODY(write_into_a_view_of_it) {
  Arena arena = victim(argument);
  const View view = arena.snapshot().view();
  write_to(view.data() + 5 * page_size());
  return went_on;
}

COW_CHILD_BODY(write_into_a_destroyed_arena) {
  std::vector<Arena> arenas;
  arenas.push_back(victim(argument));
  for (int i = 0; i < 5; ++i) arenas.emplace_back(options_for(Barrier::mprotect, pages, "another"));
  const std::byte* const address = page_at(arenas.front(), 2);
  arenas.clear();  // it is not the last one to go
  write_to(address);
  return went_on;
}

COW_CHILD_BODY(read_from_a_closed_view) {
  Arena arena = victim(argument);
  const std::byte* address = nullptr;
  {
    const View view = arena.snapshot().view();
    address = view.data() + 3 * page_size();
  }
  read_from(address);
  return went_on;
}

COW_CHILD_BODY(write_where_others_are_by_now) {
  std::byte* address = nullptr;
  {
    const Arena arena = victim(argument);
    address = arena.data();
  }
  ::mmap(address, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  write_to(address);
  return went_on;
}

COW_CHILD_BODY(write_to_a_page_that_others_protect) {
  Arena arena = victim(argument);
  ::mprotect(page_at(arena, 3), page_size(), PROT_READ);
  write_to(page_at(arena, 3));
  return went_on;
}

/// Takes snapshots that fail, until one has failed half-way: what counts as writable may be protected by ourselves
/// then. Nobody else is there.
bool fail_half_way(Arena& arena) COW_HELD_UNCHECKED {
  const ArenaBooks& books = *fault_registry::find(arena.data())->books;
  for (std::int64_t nth = 1; nth < 20 && !books.half_protected; ++nth) {
    os::fail_after(nth);
    try {
      (void)arena.snapshot();
      fill_run(arena, 0, pages, 2);
    } catch (const std::system_error&) {
    }
    os::fail_after(0);
  }
  return books.half_protected;
}

COW_CHILD_BODY(write_to_a_page_that_others_protect_after_half_a_snapshot) {
  Arena arena = victim(argument);
  if (!fail_half_way(arena)) return 1;
  ::mprotect(page_at(arena, 3), page_size(), PROT_READ);
  write_to(page_at(arena, 3));
  return went_on;
}

COW_CHILD_BODY(read_from_a_page_that_others_hide) {
  Arena arena = victim(argument);
  ::mprotect(page_at(arena, 3), page_size(), PROT_NONE);
  read_from(page_at(arena, 3));
  return went_on;
}

COW_CHILD_BODY(read_from_a_view_that_others_hide) {
  Arena arena = victim(argument);
  const View view = arena.snapshot().view();
  ::mprotect(const_cast<std::byte*>(view.data()) + 5 * page_size(), page_size(), PROT_NONE);
  read_from(view.data() + 5 * page_size());
  return went_on;
}

// Whatever the page needs by the books: they say one thing, the kernel another.
COW_CHILD_BODY(write_to_a_page_that_others_unmapped) {
  Arena arena = victim(argument);
  const Snapshot snapshot = arena.snapshot();
  ::munmap(page_at(arena, 3), page_size());
  write_to(page_at(arena, 3));
  return went_on;
}

// Nothing is copied here, only opened.
COW_CHILD_BODY(write_to_a_page_without_a_snapshot_that_others_unmapped) {
  Arena arena = victim(argument);
  (void)arena.snapshot();  // protects, and goes
  ::munmap(page_at(arena, 3), page_size());
  write_to(page_at(arena, 3));
  return went_on;
}

COW_CHILD_BODY(write_beside_an_arena_at_a_fixed_address) {
  ::signal(SIGSEGV, SIG_DFL);
  ForeignPage neighbour;
  ArenaOptions options = options_for(Barrier::mprotect, 1, "victim");
  void* const place = ::mmap(nullptr, 3 * page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ::munmap(place, page_size());
  options.address = place;
  const Arena arena(options);
  write_to(arena.data() + page_size());  // somebody else's
  return went_on;
}

struct Case {
  const char* body;
  const char* says;
};
void PrintTo(const Case& of, std::ostream* out) { *out << of.body; }

class BadAccess : public testing::TestWithParam<std::tuple<Case, Barrier>> {
 protected:
  void SetUp() override {
    if (!is_available(std::get<1>(GetParam()))) GTEST_SKIP() << "this barrier is not available here";
  }
};

TEST_P(BadAccess, is_told_as_what_it_is_and_is_deadly) {
  const auto& [what, barrier] = GetParam();
  const ChildResult result = run_child(what.body, name_of(barrier));
  EXPECT_FALSE(result.timed_out);
  EXPECT_TRUE(result.died_by(SIGSEGV) || result.died_by(SIGBUS)) << result.how();
  const std::string& text = result.error_text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), *what.says == '\0' ? 0 : 1) << text;
  EXPECT_NE(text.find(what.says), std::string::npos) << text;
}

constexpr Case cases[] = {
    {"write_past_the_end", ", 24 bytes past the end of arena \"victim\" of"},
    {"read_past_the_end", ", at the end of arena \"victim\" of"},
    {"write_before_the_start", ", 8 bytes before the start of arena \"victim\" of"},
    {"write_past_a_view", ", at the end of a view of arena \"victim\" of"},
    {"write_into_a_view_of_it", " in a view of arena \"victim\", page 5: a view is read-only"},
    {"write_into_a_destroyed_arena", " where arena \"victim\" was, page 2: it has been destroyed"},
    {"read_from_a_closed_view", " where a view of arena \"victim\" was, page 3: it has been closed"},
    {"write_where_others_are_by_now", ""},
    {"write_to_a_page_that_others_protect", "cow: write at "},
    {"read_from_a_page_that_others_hide", "cow: read at "},
    {"read_from_a_view_that_others_hide", " in a view of arena \"victim\", page 5: the page is not readable"},
    {"write_to_a_page_that_others_unmapped", " in arena \"victim\", page 3: the page is not mapped: something outside"},
    {"write_to_a_page_without_a_snapshot_that_others_unmapped", ", page 3: the page is not mapped: something outside"},
    {"write_beside_an_arena_at_a_fixed_address", ""},
};
INSTANTIATE_TEST_SUITE_P(Faults, BadAccess,
                         testing::Combine(testing::ValuesIn(cases), testing::ValuesIn(every_barrier())),
                         [](const auto& which) {
                           return std::string(std::get<0>(which.param).body) + "_" + name_of(std::get<1>(which.param));
                         });

// With mprotect the library cannot tell whose protection that is, and opens the page. With userfaultfd it can.
TEST(BadAccess, to_a_page_that_others_protect_after_half_a_snapshot_is_no_loop) {
  const std::string body = "write_to_a_page_that_others_protect_after_half_a_snapshot";
  const auto run = [&](Barrier barrier) {
    return wait_for(start_child(body, name_of(barrier)), std::chrono::seconds(20));
  };
  EXPECT_TRUE(run(Barrier::mprotect).exited_with(went_on));
  if (!is_available(Barrier::userfaultfd)) GTEST_SKIP() << "userfaultfd is not available here";
  const ChildResult result = run(Barrier::userfaultfd);
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  const std::string& text = result.error_text;
  EXPECT_NE(text.find(" in arena \"victim\", page 3: the page is protected by something outside the library\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

// The program's own handler comes back without having mended anything: the store is repeated as ever, until the handler
// has enough.
volatile sig_atomic_t times_handled = 0;
COW_CHILD_BODY(handler_that_only_returns) {
  Arena arena = victim();
  set_handler([](int, siginfo_t*, void*) {
    times_handled = times_handled + 1;
    if (times_handled == 5) ::_exit(went_on);
  });
  install_fault_handler();
  write_to(arena.data() + arena.capacity());
  return 1;
}

TEST(BadAccess, is_handed_on_each_time_it_is_tried) {
  const ChildResult result = run_child("handler_that_only_returns");
  EXPECT_TRUE(result.exited_with(went_on)) << result.how();
  EXPECT_EQ(std::count(result.error_text.begin(), result.error_text.end(), '\n'), 5) << result.error_text;
}

sigjmp_buf way_out;
COW_CHILD_BODY(handler_that_jumps_out) {
  Arena arena = victim();
  set_handler([](int, siginfo_t*, void*) { siglongjmp(way_out, 1); });
  install_fault_handler();
  if (sigsetjmp(way_out, 1) == 0) {
    write_to(arena.data() + arena.capacity());
    return 1;
  }
  return arena_works(arena) ? went_on : 2;
}

TEST(BadAccess, leaves_the_arena_usable_for_who_jumps_out) {
  const ChildResult result = run_child("handler_that_jumps_out");
  EXPECT_TRUE(result.exited_with(went_on)) << result.how();
}

}  // namespace
}  // namespace cow::test

// Promise: the library's descriptors are never the standard streams; where the program closes them, and opens its own
// files under their numbers, an operation throws or a fault says one line, and nothing changes silently.
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "cow/cow.hpp"
#include "guest/barrier_argument.hpp"
#include "kernel/fork_gate.hpp"
#include "rule/known_writes.hpp"
#include "support/deaths.hpp"
#include "support/pages.hpp"
#include "support/refuse_memory.hpp"

namespace cow::test {
namespace {

class Descriptors : public GuestTest {};
COW_FOR_EVERY_BARRIER(Descriptors);

constexpr int no_filters = 77;

void close_all() {
  for (int number = 3; number < 256; ++number) ::close(number);
}

/// Files of the program's own under every number that is free, up to one behind all that were the library's.
class OwnFiles {
 public:
  static constexpr std::size_t bytes = 64 << 10;

  OwnFiles() {
    for (int i = 0; i < 32; ++i) {
      const int number = ::memfd_create("own", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      const std::string content(bytes, 'o');
      if (::write(number, content.data(), bytes) != static_cast<ssize_t>(bytes)) std::abort();
      numbers_.push_back(number);
    }
  }
  bool untouched() const {
    for (const int number : numbers_) {
      struct stat status = {};
      if (::fstat(number, &status) != 0 || status.st_size != static_cast<off_t>(bytes)) return false;
      std::string content(bytes, 0);
      if (::pread(number, content.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return false;
      if (content != std::string(bytes, 'o') || ::fcntl(number, F_GET_SEALS) != 0) return false;
    }
    return true;
  }

 private:
  std::vector<int> numbers_;
};

/// Whether the call says that descriptors were closed.
template <class Call>
bool says_descriptors(Call&& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value() == EBADF && std::strstr(error.what(), "descriptors") != nullptr;
  }
  return false;
}

COW_CHILD_BODY(streams_closed) {
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  const Arena arena = arena_under(argument, 16);
  for (const int number : {STDIN_FILENO, STDOUT_FILENO}) CHECK_IN_CHILD(::fcntl(number, F_GETFD) == -1);
  std::printf("this is not for page 0\n");
  std::fflush(stdout);
  CHECK_IN_CHILD(::write(STDOUT_FILENO, "nor this", 8) == -1);
  CHECK_IN_CHILD(shows(arena, Picture(16, 0)));
  return 0;
}

TEST_P(Descriptors, are_never_the_standard_streams) { EXPECT_BODY_PASSES("streams_closed"); }

COW_CHILD_BODY(closed) {
  Arena arena = arena_under(argument, 64);
  Picture picture(64, 1);
  fill_run(arena, 0, 64, 1);
  const Snapshot before = arena.snapshot();
  std::optional<View> view(before.view());
  fill(arena, 1, 2);
  picture[1] = 2;
  close_all();
  std::optional<OwnFiles> own;
  if (argument.ends_with("_reused")) own.emplace();
  CHECK_IN_CHILD(says_descriptors([&] { (void)before.clone(); }));
  CHECK_IN_CHILD(says_descriptors([&] { (void)before.view(); }));
  CHECK_IN_CHILD(says_descriptors([&] { arena.discard(page_at(arena, 1), page_size()); }));
  const bool catches_writes = arena.barrier() != Barrier::kernel;
  if (catches_writes) {
    CHECK_IN_CHILD(says_descriptors([&] { arena.prepare_write(page_at(arena, 5), page_size()); }));
  }
  fill(arena, 1, 3);  // it was writable
  picture[1] = 3;
  CHECK_IN_CHILD(shows(arena, picture));
  CHECK_IN_CHILD(shows(*view, Picture(64, 1)));
  CHECK_IN_CHILD(mark_of(before, 20) == 1);
  if (catches_writes) CHECK_IN_CHILD(says_descriptors([&] { (void)mark_of(before, 1); }));  // in a frame of no mapping
  if (!catches_writes) CHECK_IN_CHILD(mark_of(before, 1) == 1);                             // the page has a front
  if (arena.barrier() != Barrier::mprotect) CHECK_IN_CHILD(says_descriptors([&] { (void)arena.snapshot(); }));
  view.reset();
  arena = arena_under(argument, 16);  // a new one is whole, and the old one goes
  const Snapshot of_the_new = arena.snapshot();
  fill(arena, 3, 4);
  CHECK_IN_CHILD(shows(of_the_new.clone(), Picture(16, 0)));
  CHECK_IN_CHILD(!own || own->untouched());
  return 0;
}

TEST_P(Descriptors, when_closed_make_operations_throw_and_change_nothing) { EXPECT_BODY_PASSES("closed"); }

TEST_P(Descriptors, when_closed_and_reused_leave_the_programs_own_files_alone) {
  const ChildResult outcome = run_child("closed", std::string(name_of(GetParam())) + "_reused");
  EXPECT_TRUE(outcome.exited_with(0)) << outcome.how();
}

COW_CHILD_BODY(store_to_a_shown_page) {
  die_by_signal();
  Arena arena = arena_under(argument, 16);
  fill_run(arena, 0, 16, 1);
  const View view = arena.snapshot().view();
  close_all();
  const OwnFiles own;
  fill(arena, 3, 2);
  return mark_of(view, 3) == 1 ? 0 : 2;
}

TEST_P(Descriptors, when_closed_make_a_fault_that_needs_them_say_so) {
  if (GetParam() == Barrier::kernel) EXPECT_BODY_PASSES("store_to_a_shown_page");  // there are no faults
  if (GetParam() == Barrier::kernel) return;
  const ChildResult outcome = run("store_to_a_shown_page");
  EXPECT_TRUE(outcome.died_by(SIGSEGV) || outcome.died_by(SIGBUS)) << outcome.how();
  EXPECT_NE(outcome.error_text.find("descriptors"), std::string::npos) << outcome.how();
}

COW_CHILD_BODY(store_after_a_snapshot) {
  die_by_signal();
  Arena arena = arena_under(argument, 256);
  fill_run(arena, 0, 256, 1);
  const Snapshot first = arena.snapshot();
  fill(arena, 200, 2);
  const Snapshot second = arena.snapshot();
  close_all();
  fill(arena, 3, 3);
  return mark_of(second, 3) == 1 && mark_of(first, 200) == 1 ? 0 : 2;
}

TEST_P(Descriptors, when_closed_keep_stores_from_changing_a_snapshot) {
  const ChildResult outcome = run("store_after_a_snapshot");
  if (GetParam() != Barrier::userfaultfd) {
    EXPECT_TRUE(outcome.exited_with(0)) << outcome.how();  // they need none
    return;
  }
  EXPECT_TRUE(outcome.died_by(SIGSEGV) || outcome.died_by(SIGBUS)) << outcome.how();
  EXPECT_NE(outcome.error_text.find("descriptors"), std::string::npos) << outcome.how();
}

COW_CHILD_BODY(closed_and_not_held_open) {
  constexpr std::uint32_t refused[] = {SYS_io_setup};
  if (!refuse_calls_from_now_on(refused, ENOSYS)) return no_filters;
  Arena arena = arena_under(argument, 64);
  Picture picture(64, 1);
  fill_run(arena, 0, 64, 1);
  const Snapshot before = arena.snapshot();
  fill(arena, 5, picture[5] = 2);
  close_all();
  const OwnFiles own;
  CHECK_IN_CHILD(says_descriptors([&] { (void)arena.snapshot(); }));
  CHECK_IN_CHILD(says_descriptors([&] { (void)arena.clone(); }));
  CHECK_IN_CHILD(says_descriptors([&] { arena.rollback(before); }));
  CHECK_IN_CHILD(says_descriptors([&] { (void)arena.changed_since(before); }));
  CHECK_IN_CHILD(shows(arena, picture));
  CHECK_IN_CHILD(own.untouched());
  return 0;
}

TEST_P(Descriptors, when_closed_and_held_by_nothing_else_are_missed_by_the_next_operation) {
  if (GetParam() == Barrier::mprotect) GTEST_SKIP() << "mprotect needs no descriptor to protect";
  const ChildResult outcome = run("closed_and_not_held_open");
  if (outcome.exited_with(no_filters)) GTEST_SKIP() << "the sandbox allows no filters";
  EXPECT_TRUE(outcome.exited_with(0)) << outcome.how();
}

COW_CHILD_BODY(closed_beside_a_fork_child) {
  Arena arena = arena_under(argument, 16);
  fill_run(arena, 0, 16, 1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  close_all();
  const OwnFiles own;
  (void)arena.stats();  // asks after the child
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  (void)arena.stats();
  CHECK_IN_CHILD(own.untouched());
  return 0;
}

TEST_P(Descriptors, when_closed_and_reused_are_not_asked_after_children) {
  EXPECT_BODY_PASSES("closed_beside_a_fork_child");
}

COW_CHILD_BODY(known_pages) {
  constexpr std::size_t pages = 64;
  Arena arena = arena_under(argument, pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  arena.write(page_at(arena, 1), "22222222", 8);  // maps what is used from here on: the home alias, and history
  const Snapshot after = arena.snapshot();
  const std::vector<std::byte> content(page_size(), std::byte{3});
  std::vector<PageWrite> writes;
  for (std::uint64_t p = 3; p < pages; p += 2) writes.push_back({{p}, content.data(), content.data()});
  close_all();
  const OwnFiles own;
  {
    ArenaBooks& books = *Access::books(arena);
    const WriterLockGuard guard(*books.fault_lock);
    CHECK_IN_CHILD(!write_known_pages(books, writes, NearPages()));
  }
  for (const PageWrite& write : writes) {
    CHECK_IN_CHILD(std::memcmp(page_at(arena, write.page.value), content.data(), page_size()) == 0);
  }
  CHECK_IN_CHILD(own.untouched());
  return 0;
}

TEST_P(Descriptors, when_closed_and_reused_are_not_written_to_by_pages_in_a_row) { EXPECT_BODY_PASSES("known_pages"); }

}  // namespace
}  // namespace cow::test

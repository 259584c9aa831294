// Promise: write() leaves no lock held when the program's own handler jumps out of it, because a source stopped being
// readable: a mapped file that someone truncated. It wrote all by then, or nothing.
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

/// A file's page that is mapped, and a page that nobody may read yet: whoever touches it has the file truncated.
int file = -1;
std::byte* of_file = nullptr;
std::byte* closed = nullptr;
sigjmp_buf gone;

void truncate_and_open(int, siginfo_t* info, void*) {
  const auto* const at = static_cast<std::byte*>(info->si_addr);
  if (at < closed || at >= closed + page_size()) ::_exit(2);
  if (::ftruncate(file, 0) != 0) ::_exit(3);
  ::mprotect(closed, page_size(), PROT_READ | PROT_WRITE);
}

void jump(int, siginfo_t*, void*) { ::siglongjmp(gone, 1); }

void set_handler(int signo, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(signo, &action, nullptr);
}

void make_sources() {
  char path[] = "/tmp/cow-source-XXXXXX";
  file = ::mkstemp(path);
  ::unlink(path);
  const std::vector<std::byte> content(page_size(), std::byte{8});
  if (::write(file, content.data(), content.size()) != static_cast<ssize_t>(content.size())) ::_exit(4);
  void* const mapped = ::mmap(nullptr, page_size(), PROT_READ, MAP_SHARED, file, 0);
  void* const shut = ::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  of_file = static_cast<std::byte*>(mapped);
  closed = static_cast<std::byte*>(shut);
}

/// False where the handler jumped.
bool wrote(Arena& arena, const std::vector<Write>& batch) {
  if (sigsetjmp(gone, 1) != 0) return false;
  arena.write(batch);
  return true;
}

/// In a process of its own, since a lock that stays held stops it. "barrier bytes": what the file's page gives.
COW_CHILD_BODY(write_from_a_source_that_vanishes) {
  ::alarm(20);
  const bool by_userfaultfd = argument[0] == '1';
  const std::size_t more = std::strtoul(argument.c_str() + 2, nullptr, 10);
  set_handler(SIGSEGV, truncate_and_open);
  set_handler(SIGBUS, jump);
  make_sources();
  Arena arena(options_for(by_userfaultfd ? Barrier::userfaultfd : Barrier::mprotect, 64));
  fill_run(arena, 0, 64, 1);
  const Snapshot before = arena.snapshot();
  const std::vector<std::byte> rest(more + 1, std::byte{7});
  std::byte* const to = arena.data();
  const bool completed = wrote(
      arena, {{to, of_file, 64}, {to + page_size(), rest.data(), more}, {to + 8 * page_size() - 8, closed, 8}});
  for (std::size_t at = 0; at < 64; ++at) CHECK_IN_CHILD(to[at] == std::byte{8} || !completed);
  CHECK_IN_CHILD(completed || filled(to, 1));
  CHECK_IN_CHILD(completed || filled(to + page_size(), 1));
  std::thread another([&] { put_mark(arena, 9, 5); });
  another.join();
  put_mark(arena, 0, 6);
  const Snapshot after = arena.snapshot();
  CHECK_IN_CHILD(mark_of(after, 9) == 5 && mark_of(after, 0) == 6);
  CHECK_IN_CHILD(mark_of(before, 9) == 1 && mark_of(before, 0) == 1);
  return 0;
}

class VanishingSource : public BarrierTest {};
COW_FOR_EVERY_BARRIER(VanishingSource);

TEST_P(VanishingSource, leaves_no_lock_held_when_a_handler_jumps) {
  const std::string barrier = GetParam() == Barrier::userfaultfd ? "1 " : "0 ";
  for (const std::size_t bytes : {std::size_t{100}, 5 * page_size()}) {
    const ChildResult result = run_child("write_from_a_source_that_vanishes", barrier + std::to_string(bytes));
    EXPECT_TRUE(result.exited_with(0)) << bytes << " bytes beside it: " << result.how();
  }
}

}  // namespace
}  // namespace cow::test

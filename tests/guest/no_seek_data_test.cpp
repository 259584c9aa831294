// Promise: where the kernel does not tell which parts of a file have memory, as in some sandboxes, arenas whose writes
// are caught by signals work all the same.
#include <cerrno>
#include <cstddef>
#include <string>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

/// lseek() knows SEEK_SET, SEEK_CUR and SEEK_END only, in this process and for good.
bool forget_seek_data() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lseek, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{6, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

COW_CHILD_BODY(live_without_seek_data) {
  CHECK_IN_CHILD(forget_seek_data());
  Arena arena(options_for(argument == "userfaultfd" ? Barrier::userfaultfd : Barrier::mprotect, 64));
  fill(arena, 1, 10);
  const Snapshot before = arena.snapshot();
  fill(arena, 1, 20);
  fill(arena, 2, 30);
  CHECK_IN_CHILD(mark_of(arena, 1) == 20 && mark_of(arena, 2) == 30);
  arena.exclude(page_at(arena, 9), page_size());
  arena.discard(page_at(arena, 2), page_size());
  Arena clone = before.clone();
  CHECK_IN_CHILD(mark_of(clone, 1) == 10);
  arena.rollback(before);
  CHECK_IN_CHILD(mark_of(arena, 1) == 10);
  return 0;
}

class WithoutSeekData : public BarrierTest {};
COW_FOR_EVERY_BARRIER(WithoutSeekData);

TEST_P(WithoutSeekData, arenas_with_signals_work) {
  if (GetParam() == Barrier::kernel) GTEST_SKIP() << "the kernel barrier looks for what was written";
  const ChildResult result = run_child("live_without_seek_data", name_of(GetParam()));
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}

}  // namespace
}  // namespace cow::test

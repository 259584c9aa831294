// Promise: where the kernel, or a sandbox, refuses any of the calls that the kernel barrier stands on, Barrier::kernel
// is an exception that names what is missing, and Barrier::automatic an arena with the next best barrier, which works.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/pages.hpp"
#include "support/refuse_memory.hpp"

namespace cow::test {
namespace {

constexpr int cannot_refuse = 77;
constexpr std::uint32_t pagemap_scan = _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 96);

/// From here on ioctl() with this request fails. False where the sandbox allows no filters.
bool refuse_request(std::uint32_t request, int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {sizeof program / sizeof *program, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// 0 where all is as promised.
int check(const std::string& missing, Barrier next_best) {
  try {
    const Arena arena(options_for(Barrier::kernel, 4));
    return 2;
  } catch (const std::system_error& error) {
    if (std::string(error.what()).find(missing) == std::string::npos) return 3;
  }
  Arena arena(options_for(Barrier::automatic, 4));
  if (arena.barrier() == Barrier::kernel) return 4;
  if (arena.barrier() != next_best && arena.barrier() != Barrier::mprotect) return 5;
  fill_run(arena, 0, 4, 1);
  const Snapshot one = arena.snapshot();
  fill_run(arena, 1, 2, 2);
  return shows(one, Picture(4, 1)) && shows(arena, {1, 2, 2, 1}) ? 0 : 6;
}

COW_CHILD_BODY(without_userfaultfd) {
  (void)argument;
  const std::uint32_t refused[] = {SYS_userfaultfd};
  return refuse_calls_from_now_on(refused, EPERM) ? check("userfaultfd", Barrier::mprotect) : cannot_refuse;
}

// As an older kernel says it, of features that it does not know.
COW_CHILD_BODY(without_features) {
  (void)argument;
  return refuse_request(static_cast<std::uint32_t>(UFFDIO_API), EINVAL) ? check("userfaultfd", Barrier::mprotect)
                                                                       : cannot_refuse;
}

COW_CHILD_BODY(without_opening_the_page_table) {
  (void)argument;
  const std::uint32_t refused[] = {SYS_openat};
  return refuse_calls_from_now_on(refused, EACCES) ? check("pagemap", Barrier::userfaultfd) : cannot_refuse;
}

COW_CHILD_BODY(without_scanning) {
  (void)argument;
  return refuse_request(pagemap_scan, ENOTTY) ? check("pagemap", Barrier::userfaultfd) : cannot_refuse;
}

class Refused : public testing::TestWithParam<const char*> {};

TEST_P(Refused, call_of_the_kernel_barrier_is_named_and_automatic_goes_on) {
  if (!is_available(Barrier::kernel)) GTEST_SKIP() << "the kernel barrier is not available here";
  const ChildResult result = run_child(GetParam());
  if (result.exited_with(cannot_refuse)) GTEST_SKIP() << "the sandbox allows no filters";
  EXPECT_TRUE(result.exited_with(0)) << result.how();
}
INSTANTIATE_TEST_SUITE_P(Calls, Refused,
                         testing::Values("without_userfaultfd", "without_features", "without_opening_the_page_table",
                                         "without_scanning"),
                         [](const auto& call) { return std::string(call.param); });

}  // namespace
}  // namespace cow::test

// Promise: a power failure at any moment leaves the old file or the new one. No test cuts the power: what is asked of
// the kernel, and in which order, is looked at from outside, by ptrace(2).
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "files/saved.hpp"
#include "support/child.hpp"

namespace cow::test {
namespace {

constexpr int cannot_be_traced = 77;

/// Lets the parent follow it from the next system call on.
bool ask_to_be_followed() {
  return ::ptrace(static_cast<__ptrace_request>(PTRACE_TRACEME), 0, nullptr, nullptr) == 0 && ::raise(SIGSTOP) == 0;
}

COW_CHILD_BODY(save_while_followed) {
  Arena arena({.capacity = 300 * page_size()});
  fill_run(arena, 0, 200, 1);
  const Snapshot first = arena.snapshot();
  SaveOptions options;
  options.sync = argument.starts_with("sync:");
  const std::string path = argument.substr(argument.find(':') + 1);
  save(first, path, unsynced());
  fill_run(arena, 50, 3, 2);
  const Snapshot second = arena.snapshot();
  if (!ask_to_be_followed()) return cannot_be_traced;
  save(second, path, options);
  return 0;
}

struct Call {
  std::uint64_t number;
  std::uint64_t file;  // or whatever its first argument is
  std::uint64_t bytes, offset;
};

/// The calls of a child that concern files, in order; none where it cannot be followed.
std::vector<Call> calls_of(const std::string& argument) {
  const Child child = start_child("save_while_followed", argument);
  std::vector<Call> calls;
  int status = 0;
  while (::waitpid(child.pid, &status, 0) == -1 && errno == EINTR) {
  }
  while (WIFSTOPPED(status)) {
    constexpr int by_a_call = SIGTRAP | 0x80;
    const int why = WSTOPSIG(status);
    if (why == SIGSTOP) {
      (void)::ptrace(static_cast<__ptrace_request>(PTRACE_SETOPTIONS), child.pid, nullptr,
                     reinterpret_cast<void*>(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    } else if (why == by_a_call) {
      __ptrace_syscall_info info{};
      const auto size = reinterpret_cast<void*>(sizeof info);
      (void)::ptrace(static_cast<__ptrace_request>(PTRACE_GET_SYSCALL_INFO), child.pid, size, &info);
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        calls.push_back({info.entry.nr, info.entry.args[0], info.entry.args[2], info.entry.args[3]});
    }
    const int signal = why == SIGSTOP || why == by_a_call ? 0 : why;
    (void)::ptrace(static_cast<__ptrace_request>(PTRACE_SYSCALL), child.pid, nullptr,
                   reinterpret_cast<void*>(static_cast<std::intptr_t>(signal)));
    while (::waitpid(child.pid, &status, 0) == -1 && errno == EINTR) {
    }
  }
  ::close(child.error_pipe);
  EXPECT_TRUE(WIFEXITED(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == cannot_be_traced) return {};
  constexpr std::uint64_t of_interest[] = {SYS_pwrite64, SYS_fdatasync, SYS_fsync, SYS_renameat2, SYS_unlinkat};
  const auto boring = [&](const Call& call) {
    return std::find(std::begin(of_interest), std::end(of_interest), call.number) == std::end(of_interest);
  };
  calls.erase(std::remove_if(calls.begin(), calls.end(), boring), calls.end());
  return calls;
}

/// Runs of the same call as one letter: w, d(ata), f(sync), r(ename).
std::string in_short(const std::vector<Call>& calls) {
  std::string text;
  for (const Call& call : calls) {
    const char letter = call.number == SYS_pwrite64    ? 'w'
                        : call.number == SYS_fdatasync ? 'd'
                        : call.number == SYS_fsync     ? 'f'
                        : call.number == SYS_renameat2 ? 'r'
                                                       : '?';
    if (text.empty() || text.back() != letter || letter != 'w') text += letter;
  }
  return text;
}

class OrderOfSave : public testing::Test {
 protected:
  std::vector<Call> calls(const std::string& how) { return calls_of(how + (folder / "a").string()); }
  Folder folder;
};

TEST_F(OrderOfSave, is_content_then_its_end_then_its_name_each_on_the_disk_before_the_next) {
  const std::vector<Call> all = calls("sync:");
  if (all.empty()) GTEST_SKIP() << "no ptrace(2) here";
  ASSERT_EQ(in_short(all), "wdwdrf");
  const auto first_sync = std::find_if(all.begin(), all.end(), [](const Call& c) { return c.number == SYS_fdatasync; });
  const Call end = first_sync[1];
  EXPECT_EQ(end.bytes, 128U);
  EXPECT_EQ(end.offset + end.bytes, std::filesystem::file_size(folder / "a"));
  for (auto call = all.begin(); call != first_sync; ++call)
    EXPECT_LE(call->offset + call->bytes, end.offset) << "something is written to the end's place";
  for (const Call& call : all) {
    const bool of_the_file = call.number == SYS_fdatasync || call.number == SYS_pwrite64;
    EXPECT_TRUE(!of_the_file || call.file == all.front().file);
  }
}

TEST_F(OrderOfSave, has_no_syncs_where_none_are_wanted_and_the_name_comes_last) {
  const std::vector<Call> all = calls("unsynced:");
  if (all.empty()) GTEST_SKIP() << "no ptrace(2) here";
  EXPECT_EQ(in_short(all), "wr");
}

}  // namespace
}  // namespace cow::test

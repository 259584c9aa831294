// Test bodies that need a process of their own: a signal state from before the first arena, or a death.
// The test program runs itself again and, before any test, does the one body that it was asked for.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cow::test {

struct ChildResult {
  int wait_status = 0;
  bool timed_out = false;
  std::string error_text;  // what it wrote to standard error

  bool exited_with(int code) const { return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == code; }
  bool died_by(int signal) const { return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == signal; }
  std::string how() const {
    std::string text = timed_out ? "timed out, " : "";
    if (WIFEXITED(wait_status)) text += "exited with " + std::to_string(WEXITSTATUS(wait_status));
    if (WIFSIGNALED(wait_status)) text += "died by signal " + std::to_string(WTERMSIG(wait_status));
    return text + "; it said: " + error_text;
  }
};

/// A child that was started; wait_for() must be called once.
struct Child {
  pid_t pid = -1;
  int error_pipe = -1;
};

namespace child_detail {

inline constexpr const char* variable = "COW_TEST_CHILD";

using Body = int (*)(const std::string& argument);

inline std::map<std::string, Body>& bodies() {
  static std::map<std::string, Body> all;
  return all;
}

// GoogleTest sets environments up when all static objects exist and before the first test.
class RunBodyInstead : public testing::Environment {
 public:
  void SetUp() override {
    const char* const wanted = std::getenv(variable);
    if (wanted == nullptr) return;
    const std::string text = wanted;
    const std::size_t colon = text.find(':');
    const auto body = bodies().find(text.substr(0, colon));
    ::unsetenv(variable);
    if (body == bodies().end()) ::_exit(127);
    const int code = body->second(colon == std::string::npos ? "" : text.substr(colon + 1));
    std::fflush(nullptr);
    ::_exit(code);
  }
};
inline const bool environment_added = (testing::AddGlobalTestEnvironment(new RunBodyInstead), true);

struct Registration {
  Registration(const char* name, Body body) { bodies().emplace(name, body); }
};

// In the new process between fork and exec: only async-signal-safe calls.
[[noreturn]] inline void become(int error_end, char* const* arguments, char* const* environment) {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(error_end, STDERR_FILENO);
  ::execve("/proc/self/exe", arguments, environment);
  ::_exit(126);
}

}  // namespace child_detail

/// Starts the body named so, with an argument, in a fresh process.
inline Child start_child(const std::string& name, const std::string& argument = "") {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const std::string wanted = std::string(child_detail::variable) + "=" + name + ":" + argument;
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("GTEST_")) environment.push_back(*entry);
  environment.push_back(const_cast<char*>(wanted.c_str()));
  environment.push_back(nullptr);
  char program[] = "test-child";
  char* const arguments[] = {program, nullptr};
  const pid_t pid = ::fork();
  if (pid == 0) child_detail::become(ends[1], arguments, environment.data());
  ::close(ends[1]);
  return {pid, ends[0]};
}

/// Gathers what the child says until it ends; kills it when it takes longer than the limit.
inline ChildResult wait_for(const Child& child, std::chrono::seconds limit = std::chrono::seconds(120)) {
  ChildResult result;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    using std::chrono::milliseconds;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      result.timed_out = true;
      ::kill(child.pid, SIGKILL);
      break;
    }
    pollfd waiting = {child.error_pipe, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    char buffer[4096];
    const ssize_t count = ::read(child.error_pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    result.error_text.append(buffer, static_cast<std::size_t>(count));
  }
  while (::waitpid(child.pid, &result.wait_status, 0) < 0 && errno == EINTR) {
  }
  ::close(child.error_pipe);
  return result;
}

inline ChildResult run_child(const std::string& name, const std::string& argument = "") {
  return wait_for(start_child(name, argument));
}

/// Runs the call in a forked copy of this process, which inherits the arenas; its result is the exit code.
template <class Call>
ChildResult run_forked(Call&& call) {
  std::fflush(nullptr);
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::_exit(call());
  }
  ::close(ends[1]);
  return wait_for({pid, ends[0]});
}

}  // namespace cow::test

/// Defines a body for start_child(): COW_CHILD_BODY(name) { ... return exit code; }, with `argument` at hand.
#define COW_CHILD_BODY(name)                                                            \
  static int name([[maybe_unused]] const std::string& argument);                       \
  static const cow::test::child_detail::Registration name##_registration(#name, name); \
  static int name([[maybe_unused]] const std::string& argument)

/// In such a body: what does not hold ends it, and is told with its line.
#define CHECK_IN_CHILD(condition)                                                     \
  do {                                                                                \
    if (!(condition)) {                                                               \
      std::fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition);        \
      return 1;                                                                       \
    }                                                                                 \
  } while (false)

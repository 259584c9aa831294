// Waiting for other threads of the process, and what they are doing. See kernel/os.hpp.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "kernel/os.hpp"

namespace cow::os {
namespace {

/// "/proc/self/task/<thread>/stat"
struct StatPath {
  explicit StatPath(std::uint32_t thread) noexcept {
    char digits[10];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + thread % 10);
    while ((thread /= 10) != 0);
    add("/proc/self/task/");
    while (count != 0) text[length++] = digits[--count];
    add("/stat");
  }
  void add(const char* part) noexcept {
    while (*part != '\0') text[length++] = *part++;
  }

  char text[48] = {};
  int length = 0;
};

/// The letter behind "id (name) ", where a name may have any characters in it; 0 if the kernel does not tell.
char state_of(std::uint32_t thread) noexcept {
  const StatPath path(thread);
  const long fd = ::syscall(SYS_openat, AT_FDCWD, path.text, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return 0;
  char text[128];  // an id has ten digits at most, a name fifteen letters
  const long length = ::syscall(SYS_read, fd, text, sizeof text);
  (void)::syscall(SYS_close, fd);
  for (long at = length - 3; at > 0; --at) {
    if (text[at] == ')') return text[at + 2];
  }
  return 0;
}

}  // namespace

std::uint32_t thread_id() noexcept { return static_cast<std::uint32_t>(::syscall(SYS_gettid)); }

bool wait_a_while(std::uint32_t* word, std::uint32_t expected, long microseconds) noexcept {
  const timespec time{0, microseconds * 1000};
  return ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &time, nullptr, 0) == 0 || errno != ETIMEDOUT;
}

void wake_all(std::uint32_t* word) noexcept {
  constexpr int everyone = 0x7fffffff;
  (void)::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, everyone, nullptr, nullptr, 0);
}

bool sleeps_or_ended(std::uint32_t thread) noexcept {
  if (::syscall(SYS_tgkill, ::syscall(SYS_getpid), thread, 0) == -1 && errno == ESRCH) return true;
  const char state = state_of(thread);
  return state == 'S' || state == 'Z' || state == 'X';
}

}  // namespace cow::os

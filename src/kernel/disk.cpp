// Files with names. See kernel/disk.hpp.
#include "kernel/disk.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>

#include "kernel/ask.hpp"
#include "kernel/memory_sanitizer.hpp"

namespace cow::os {
namespace {

constexpr int first_number = 3;  // below it are the standard streams, which anybody writes to

/// Another descriptor of the same file, above the standard streams. Where RLIMIT_NOFILE leaves no number there, the
/// kernel says EINVAL: that is EMFILE to whoever has to raise it.
long another_number(long number) noexcept {
  const long higher = ask(SYS_fcntl, number, F_DUPFD_CLOEXEC, first_number);
  if (higher == -1 && errno == EINVAL) errno = EMFILE;
  return higher;
}

/// A number of our own for a descriptor just opened: never that of a standard stream which the program has closed.
Result<Descriptor> ours(long number) noexcept {
  if (number == -1) return {{}, {errno}};
  if (number < first_number) {
    const long higher = another_number(number);
    const Error error = failed_if(higher == -1);
    (void)::syscall(SYS_close, number);
    if (error) return {{}, error};
    number = higher;
  }
  struct stat status {};
  if (::syscall(SYS_fstat, number, &status) == -1) {
    const Error error{errno};
    (void)::syscall(SYS_close, number);
    return {{}, error};
  }
  return {{static_cast<int>(number), status.st_dev, status.st_ino, 0}, {}};
}

template <class Open>
long again_if_interrupted(Open&& open) noexcept {
  for (;;) {
    const long result = open();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// Keeps two signals from the thread that are sent besides an error: EFBIG comes with SIGXFSZ, EPIPE with SIGPIPE.
class WithoutSignals {
 public:
  WithoutSignals() noexcept { before_ = change(SIG_BLOCK, mask); }
  ~WithoutSignals() { (void)change(SIG_SETMASK, before_); }
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

  /// After the error: the signal is pending, for this thread.
  static void take_back(int error) noexcept {
    if (error != EFBIG && error != EPIPE) return;
    const std::uint64_t one = std::uint64_t{1} << ((error == EFBIG ? SIGXFSZ : SIGPIPE) - 1);
    constexpr timespec at_once{};
    (void)::syscall(SYS_rt_sigtimedwait, &one, nullptr, &at_once, sizeof one);
  }

 private:
  static constexpr std::uint64_t mask = std::uint64_t{1} << (SIGXFSZ - 1) | std::uint64_t{1} << (SIGPIPE - 1);
  static std::uint64_t change(int how, std::uint64_t to) noexcept {
    std::uint64_t old = 0;
    (void)::syscall(SYS_rt_sigprocmask, how, &to, &old, sizeof to);
    return old;
  }
  std::uint64_t before_ = 0;
};

/// Calls write(from, bytes) until all is written.
template <class Write>
Error write_all(const void* from, std::size_t bytes, Write&& write) noexcept {
  const WithoutSignals quiet;
  while (bytes != 0) {
    const long done = write(from, bytes);
    if (done == -1 && errno == EINTR) continue;
    if (done <= 0) {
      const int error = done == 0 ? ENOSPC : errno;
      WithoutSignals::take_back(error);
      return {error};
    }
    from = static_cast<const std::byte*>(from) + done;
    bytes -= static_cast<std::size_t>(done);
  }
  return {};
}

FileKind::What what_is(mode_t mode) noexcept {
  if (S_ISREG(mode)) return FileKind::What::regular;
  if (S_ISDIR(mode)) return FileKind::What::directory;
  if (S_ISLNK(mode)) return FileKind::What::link;
  return FileKind::What::other;
}

Result<FileKind> kind_from(long failed, const struct stat& status) noexcept {
  if (failed == -1) return {{}, {errno}};
  FileKind kind;
  kind.what = what_is(status.st_mode);
  kind.bytes = static_cast<std::uint64_t>(status.st_size);
  kind.device = status.st_dev;
  kind.file = status.st_ino;
  kind.permissions = status.st_mode & 07777;
  kind.owner = status.st_uid;
  kind.group = status.st_gid;
  return {kind, {}};
}

Result<Descriptor> open_directory_at(int from, const char* path, int how) noexcept {
  const int flags = O_DIRECTORY | O_CLOEXEC | how;
  return ours(again_if_interrupted([&] { return ask(SYS_openat, from, path, flags, 0); }));
}

}  // namespace

Result<Descriptor> open_to_read(const char* path) noexcept {
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;  // a pipe's open() would wait for its other end
  return ours(again_if_interrupted([path] { return ask(SYS_openat, AT_FDCWD, path, flags, 0); }));
}

Result<Descriptor> create_to_write(const Descriptor& directory, const char* name, unsigned permissions) noexcept {
  constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  if (!still_ours(directory)) return {{}, {EBADF}};
  const long number = again_if_interrupted([&] { return ask(SYS_openat, directory.number, name, flags, permissions); });
  const Result<Descriptor> created = ours(number);
  if (!created && number != -1) (void)remove_file(directory, name);
  return created;
}

Result<Descriptor> open_again_to_read(int number) noexcept {
  char path[64];
  (void)std::snprintf(path, sizeof path, "/proc/self/fd/%d", number);
  const Result<Descriptor> again = open_to_read(path);
  if (again) return again;
  return ours(another_number(number));
}

Result<Descriptor> duplicate(const Descriptor& file) noexcept {
  if (!still_ours(file)) return {{}, {EBADF}};
  return ours(another_number(file.number));
}

Result<Descriptor> open_directory(const char* path) noexcept { return open_directory_at(AT_FDCWD, path, O_PATH); }

Result<Descriptor> open_directory(const Descriptor& from, const char* path) noexcept {
  if (!still_ours(from)) return {{}, {EBADF}};
  return open_directory_at(from.number, path, O_PATH);
}

Result<Descriptor> open_to_sync(const Descriptor& directory) noexcept {
  if (!still_ours(directory)) return {{}, {EBADF}};
  return open_directory_at(directory.number, ".", O_RDONLY);
}

Result<std::size_t> read_link(const Descriptor& directory, const char* name, char* into, std::size_t bytes) noexcept {
  if (!still_ours(directory)) return {0, {EBADF}};
  const long length = ask(SYS_readlinkat, directory.number, name, into, bytes);
  if (length == -1) return {0, {errno}};
  memory_sanitizer::has_content(into, static_cast<std::size_t>(length));
  return {static_cast<std::size_t>(length), {}};
}

bool link_can_be_trusted(const FileKind& link, const FileKind& directory) noexcept {
  constexpr unsigned anybody_adds = S_ISVTX | S_IWOTH;
  const bool shared = (directory.permissions & anybody_adds) == anybody_adds;
  return !shared || link.owner == ::geteuid() || link.owner == directory.owner;
}

Result<FileKind> kind_of(const Descriptor& directory, const char* name) noexcept {
  if (!still_ours(directory)) return {{}, {EBADF}};
  struct stat status {};
  return kind_from(ask(SYS_newfstatat, directory.number, name, &status, AT_SYMLINK_NOFOLLOW), status);
}

Result<FileKind> kind_behind(const Descriptor& directory, const char* name) noexcept {
  if (!still_ours(directory)) return {{}, {EBADF}};
  struct stat status {};
  return kind_from(ask(SYS_newfstatat, directory.number, name, &status, 0), status);
}

Result<FileKind> kind_of(const Descriptor& file) noexcept {
  if (!still_ours(file)) return {{}, {EBADF}};
  return kind_of(file.number);
}

Result<FileKind> kind_of(int number) noexcept {
  struct stat status {};
  return kind_from(ask(SYS_fstat, number, &status), status);
}

namespace {

bool lies_on(const Descriptor& file, long file_system) noexcept {
  struct statfs of {};
  return still_ours(file) && ask(SYS_fstatfs, file.number, &of) != -1 && of.f_type == file_system;
}

}  // namespace

bool is_in_memory(const Descriptor& file) noexcept { return lies_on(file, TMPFS_MAGIC); }
bool is_of_proc(const Descriptor& directory) noexcept { return lies_on(directory, PROC_SUPER_MAGIC); }

Error write_on(int number, const void* from, std::size_t bytes) noexcept {
  return write_all(from, bytes, [number](const void* at, std::size_t n) { return ask(SYS_write, number, at, n); });
}

Error write_to_disk(const Descriptor& file, const void* from, std::size_t bytes, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return {EBADF};
  return write_all(from, bytes, [&](const void* at, std::size_t n) {
    const long done = ask(SYS_pwrite64, file.number, at, n, offset);
    if (done > 0) offset += static_cast<std::uint64_t>(done);
    return done;
  });
}

Result<std::size_t> read_some(int number, void* into, std::size_t bytes) noexcept {
  const long done = again_if_interrupted([&] { return ask(SYS_read, number, into, bytes); });
  if (done == -1) return {0, {errno}};
  memory_sanitizer::has_content(into, static_cast<std::size_t>(done));
  return {static_cast<std::size_t>(done), {}};
}

Result<std::size_t> read_up_to(const Descriptor& file, void* into, std::size_t bytes, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return {0, {EBADF}};
  std::size_t all = 0;
  while (all < bytes) {
    std::byte* const at = static_cast<std::byte*>(into) + all;
    const long done =
        again_if_interrupted([&] { return ask(SYS_pread64, file.number, at, bytes - all, offset + all); });
    if (done == -1) return {all, {errno}};
    if (done == 0) break;
    memory_sanitizer::has_content(at, static_cast<std::size_t>(done));
    all += static_cast<std::size_t>(done);
  }
  return {all, {}};
}

std::uint64_t next_content(const Descriptor& file, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return offset;
  const long before = ::syscall(SYS_lseek, file.number, 0, SEEK_CUR);
  const long found = ::syscall(SYS_lseek, file.number, offset, SEEK_DATA);
  const bool none = found == -1 && errno == ENXIO;
  (void)::syscall(SYS_lseek, file.number, before, SEEK_SET);
  if (found == -1) return none ? ~std::uint64_t{0} : offset;
  return static_cast<std::uint64_t>(found);
}

Error read_parts(const Descriptor& file, Part* parts, std::size_t count, std::uint64_t offset) noexcept {
  static_assert(sizeof(Part) == sizeof(iovec) && offsetof(Part, bytes) == offsetof(iovec, iov_len));
  if (!still_ours(file)) return {EBADF};
  while (count != 0) {
    const long done = again_if_interrupted([&] { return ask(SYS_preadv, file.number, parts, count, offset, 0L); });
    if (done <= 0) return {done == 0 ? EIO : errno};
    offset += static_cast<std::uint64_t>(done);
    for (std::size_t rest = static_cast<std::size_t>(done); rest != 0;) {
      const std::size_t some = std::min(rest, parts->bytes);
      memory_sanitizer::has_content(parts->at, some);
      parts->at = static_cast<std::byte*>(parts->at) + some;
      parts->bytes -= some;
      rest -= some;
      if (parts->bytes == 0) ++parts, --count;
    }
  }
  return {};
}

bool all_in_memory(const void* at, std::size_t pages) noexcept {
  unsigned char there[most_asked_about] = {};
  if (::syscall(SYS_mincore, at, pages * page_size(), there) == -1) return false;
  return std::all_of(there, there + pages, [](unsigned char page) { return (page & 1) != 0; });
}

Error set_length(const Descriptor& file, std::uint64_t bytes) noexcept {
  if (!still_ours(file)) return {EBADF};
  const WithoutSignals quiet;
  const Error error = failed_if(ask(SYS_ftruncate, file.number, bytes) == -1);
  if (error) WithoutSignals::take_back(error.code);
  return error;
}

Error sync_content(const Descriptor& file) noexcept {
  if (!still_ours(file)) return {EBADF};
  return failed_if(ask(SYS_fdatasync, file.number) == -1);
}

Error sync_names(const Descriptor& directory) noexcept {
  if (!still_ours(directory)) return {EBADF};
  const Error error = failed_if(ask(SYS_fsync, directory.number) == -1);
  return error.code == EINVAL ? Error{} : error;  // a file system that has nothing to write there
}

Error rename_over(const Descriptor& directory, const char* from, const char* to) noexcept {
  if (!still_ours(directory)) return {EBADF};
  return failed_if(ask(SYS_renameat2, directory.number, from, directory.number, to, 0) == -1);
}

bool remove_file(const Descriptor& directory, const char* name) noexcept {
  return still_ours(directory) && ::syscall(SYS_unlinkat, directory.number, name, 0) == 0;
}

void remove_file(const char* path) noexcept { (void)::syscall(SYS_unlinkat, AT_FDCWD, path, 0); }

void set_owner_and_permissions(const Descriptor& file, const FileKind& of) noexcept {
  if (!still_ours(file)) return;
  unsigned permissions = of.permissions & 0777;
  if (::syscall(SYS_fchown, file.number, of.owner, of.group) == -1 &&
      ::syscall(SYS_fchown, file.number, -1, of.group) == -1) {
    permissions = (permissions & ~070U) | ((permissions & 07U) << 3 & permissions);  // another group's: as everybody
  }
  (void)::syscall(SYS_fchmod, file.number, permissions);
}

Error random_bytes(void* into, std::size_t bytes) noexcept {
  const long done = again_if_interrupted([&] { return ask(SYS_getrandom, into, bytes, 0); });
  if (done == -1) return {errno};
  memory_sanitizer::has_content(into, bytes);
  return done == static_cast<long>(bytes) ? Error{} : Error{EIO};
}

}  // namespace cow::os

// Memory files and userfaultfd, by descriptors that are the library's own. A program may close them all, and
// have its next file under the same number: each use looks first whether the file is still the one that was opened.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <limits>

#include "kernel/ask.hpp"
#include "kernel/memory_sanitizer.hpp"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1  // Linux 5.11
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)  // Linux 5.19
#endif
static_assert(UFFD_FEATURE_WP_HUGETLBFS_SHMEM == cow::os::feature_wp_shared);

namespace cow::os {
namespace {

constexpr Error closed_by_the_program{EBADF};
constexpr int first_number = 3;  // below it are the standard streams, which anybody writes to

Result<Descriptor> described(int number) noexcept {
  struct stat status {};
  if (::syscall(SYS_fstat, number, &status) == -1) return {{}, {errno}};
  return {{number, status.st_dev, status.st_ino, 0}, {}};
}

/// Nobody uses a memory file's position, as all reading and writing names its offset: so it bears a number that no
/// other file has. Asking for it costs 0.15 us, half of fstat(2).
void mark(Descriptor& file) noexcept {
  constexpr std::int64_t far_out = std::int64_t{1} << 61;
  const std::int64_t position = far_out | static_cast<std::int64_t>(file.file & 0xff'ffff'ffff) << 20;
  if (::syscall(SYS_lseek, file.number, position, SEEK_SET) == position) file.position = position;
}

/// A file that comes under the number of a closed standard stream is not used, not even by another number: somebody may
/// have printed into it. It keeps the number until another file has a higher one.
template <class Open>
Result<Descriptor> open_above_standard_streams(Open&& open) noexcept {
  Descriptor low[first_number];
  int lows = 0;
  Result<Descriptor> got;
  for (;;) {
    const long number = open();
    got = number == -1 ? Result<Descriptor>{{}, {errno}} : described(static_cast<int>(number));
    if (!got || got.value.number >= first_number) break;
    if (lows == first_number) {  // somebody closes them meanwhile
      close_file(got.value);
      got = {{}, {EMFILE}};
      break;
    }
    low[lows++] = got.value;
  }
  for (int i = 0; i < lows; ++i) close_file(low[i]);
  return got;
}

Result<Descriptor> open_memory_file(const char* name) noexcept {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  Result<Descriptor> file = open_above_standard_streams([name] {
    const long number = ask(SYS_memfd_create, name, flags | MFD_NOEXEC_SEAL);
    return number == -1 && errno == EINVAL ? ask(SYS_memfd_create, name, flags) : number;
  });
  if (file) mark(file.value);
  return file;
}

/// Beyond RLIMIT_FSIZE the kernel sends SIGXFSZ besides saying EFBIG, also for memory files. It is blocked and for this
/// thread: it can be taken back.
void take_back_file_size_signal() noexcept {
  constexpr std::uint64_t mask = std::uint64_t{1} << (SIGXFSZ - 1);
  constexpr timespec at_once{};
  (void)::syscall(SYS_rt_sigtimedwait, &mask, nullptr, &at_once, sizeof mask);
}

/// Stores through a mapping have no limit but memory, which is asked for first.
Error write_by_mapping(const Descriptor& file, const void* from, std::size_t bytes, std::uint64_t offset) noexcept {
  const std::uint64_t begin = offset / page_size() * page_size();
  const std::size_t before = static_cast<std::size_t>(offset - begin);
  const std::size_t mapped_bytes = (before + bytes + page_size() - 1) / page_size() * page_size();
  const Result<void*> range = reserve_addresses(nullptr, mapped_bytes);
  if (!range) return range.error;
  Error error = map_file(range.value, mapped_bytes, Access::read_write, file, begin);
  if (!error) error = populate_for_writing(range.value, mapped_bytes);
  if (!error) std::memcpy(static_cast<std::byte*>(range.value) + before, from, bytes);
  unmap(range.value, mapped_bytes);
  return error;
}

}  // namespace

bool still_ours(const Descriptor& file) noexcept {
  if (file.position != 0 && ::syscall(SYS_lseek, file.number, 0, SEEK_CUR) == file.position) return true;
  struct stat status {};
  return ::syscall(SYS_fstat, file.number, &status) == 0 && status.st_dev == file.device && status.st_ino == file.file;
}

bool has_shared_mappings(const Descriptor& file) noexcept {
  // The kernel refuses to seal a file against writing for as long as a mapping may write to it, in whatever process.
  if (!still_ours(file)) return true;
  return ::syscall(SYS_fcntl, file.number, F_ADD_SEALS, F_SEAL_WRITE) == -1 && errno == EBUSY;
}

Result<Descriptor> create_empty_memory_file(const char* name) noexcept { return open_memory_file(name); }

Result<Descriptor> create_memory_file(const char* name) noexcept {
  const AsyncSignalsBlocked blocked;
  const Result<Descriptor> file = open_memory_file(name);
  if (!file) return file;
  const std::uint64_t page = std::uint64_t{1} << 16;  // the largest page size of any kernel
  const std::uint64_t largest = std::numeric_limits<std::int64_t>::max() / page * page;
  const int number = file.value.number;
  constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW;
  if (ask(SYS_ftruncate, number, largest) != -1 && ask(SYS_fcntl, number, F_ADD_SEALS, seals) != -1) return file;
  const Error error{errno};
  if (error.code == EFBIG) take_back_file_size_signal();
  close_file(file.value);
  return {{}, error};
}

void close_file(const Descriptor& file) noexcept {
  if (file.number != -1 && still_ours(file)) (void)::syscall(SYS_close, file.number);
}

Error punch(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (!still_ours(file)) return closed_by_the_program;
  return failed_if(ask(SYS_fallocate, file.number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes) == -1);
}

Error allocate(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (!still_ours(file)) return closed_by_the_program;
  for (;;) {
    if (ask(SYS_fallocate, file.number, FALLOC_FL_KEEP_SIZE, offset, bytes) != -1) return {};
    if (errno != EINTR) return {errno};
  }
}

Error write_at(const Descriptor& file, const void* from, std::size_t bytes, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return closed_by_the_program;
  while (bytes != 0) {
    const long done = ask(SYS_pwrite64, file.number, from, bytes, offset);
    if (done == -1 && errno == EINTR) continue;
    if (done == -1 && errno == EFBIG) {
      take_back_file_size_signal();
      return write_by_mapping(file, from, bytes, offset);
    }
    if (done <= 0) return {done == 0 ? ENOSPC : errno};
    from = static_cast<const std::byte*>(from) + done;
    bytes -= static_cast<std::size_t>(done);
    offset += static_cast<std::uint64_t>(done);
  }
  return {};
}

void overwrite_with_zeros(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) noexcept {
  static constexpr std::byte zeros[4096] = {};
  if (!still_ours(file)) return;
  for (const std::uint64_t end = offset + bytes; offset < end;) {
    const std::uint64_t some = std::min<std::uint64_t>(sizeof zeros, end - offset);
    const long done = ::syscall(SYS_pwrite64, file.number, zeros, some, offset);
    if (done == -1 && errno == EINTR) continue;
    if (done == -1 && errno == EFBIG) {
      take_back_file_size_signal();
      (void)write_by_mapping(file, zeros, some, offset);
    }
    offset += done > 0 ? static_cast<std::uint64_t>(done) : some;
  }
}

Error read_at(const Descriptor& file, void* into, std::size_t bytes, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return closed_by_the_program;
  while (bytes != 0) {
    const long done = ask(SYS_pread64, file.number, into, bytes, offset);
    if (done == -1 && errno == EINTR) continue;
    if (done <= 0) return {done == 0 ? EIO : errno};
    memory_sanitizer::has_content(into, static_cast<std::size_t>(done));
    into = static_cast<std::byte*>(into) + done;
    bytes -= static_cast<std::size_t>(done);
    offset += static_cast<std::uint64_t>(done);
  }
  return {};
}

namespace {
// Moves the file's position, and puts it back: who looks for its mark in between asks fstat(2) instead.
Result<std::uint64_t> seek(const Descriptor& file, std::uint64_t from, int to) noexcept {
  if (!still_ours(file)) return {0, closed_by_the_program};
  const long found = ask(SYS_lseek, file.number, from, to);
  const Error error = failed_if(found == -1);
  (void)::syscall(SYS_lseek, file.number, file.position, SEEK_SET);
  return {static_cast<std::uint64_t>(found), error};
}
}  // namespace

Result<std::uint64_t> next_allocated(const Descriptor& file, std::uint64_t from) noexcept {
  return seek(file, from, SEEK_DATA);
}
Result<std::uint64_t> next_hole(const Descriptor& file, std::uint64_t from) noexcept {
  return seek(file, from, SEEK_HOLE);
}

Result<Descriptor> open_userfaultfd() noexcept {
  return open_userfaultfd_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_SIGBUS | UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
}

Result<Descriptor> open_high(long (*open)()) noexcept { return open_above_standard_streams(open); }

Result<Descriptor> open_userfaultfd_with(std::uint64_t features) noexcept {
  const Result<Descriptor> file = open_above_standard_streams([] {
    // A poll waits only where it is O_NONBLOCK.
    return ask(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  });
  if (!file) return file;
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = features;
  if (ask(SYS_ioctl, file.value.number, UFFDIO_API, &api) == -1) {
    const Error error{errno};
    close_file(file.value);
    return {{}, error};
  }
  return file;
}

bool hold_open(const Descriptor& userfaultfd) noexcept {
  aio_context_t context = 0;
  if (ask(SYS_io_setup, 1, &context) == -1) return false;
  iocb poll{};
  poll.aio_lio_opcode = IOCB_CMD_POLL;
  poll.aio_fildes = static_cast<std::uint32_t>(userfaultfd.number);
  poll.aio_buf = 1;  // POLLIN: with UFFD_FEATURE_SIGBUS there never is anything to read
  iocb* requests[] = {&poll};
  if (ask(SYS_io_submit, context, 1, requests) == 1) return true;
  (void)::syscall(SYS_io_destroy, context);
  return false;
}

namespace {
Error register_for(std::uint64_t mode, const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept {
  if (!still_ours(userfaultfd)) return closed_by_the_program;  // else another one of the program's would get the faults
  uffdio_register range{};
  range.range = {reinterpret_cast<std::uintptr_t>(at), bytes};
  range.mode = mode;
  return failed_if(ask(SYS_ioctl, userfaultfd.number, UFFDIO_REGISTER, &range) == -1);
}
}  // namespace

Error register_for_filling(const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept {
  return register_for(UFFDIO_REGISTER_MODE_MISSING, userfaultfd, at, bytes);
}

Error fill_pages(const Descriptor& userfaultfd, void* at, const void* from, std::size_t bytes) noexcept {
  for (std::size_t done = 0;;) {
    uffdio_copy copy{};
    copy.dst = reinterpret_cast<std::uintptr_t>(at) + done;
    copy.src = reinterpret_cast<std::uintptr_t>(from) + done;
    copy.len = bytes - done;
    const bool failed = ask(SYS_ioctl, userfaultfd.number, UFFDIO_COPY, &copy) == -1;
    if (!failed) memory_sanitizer::has_content(at, bytes);
    if (!failed || errno != EAGAIN) return failed_if(failed);
    if (copy.copy > 0) done += static_cast<std::size_t>(copy.copy);  // the mappings were changing just then
  }
}

Error register_for_write_protection(const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept {
  return register_for(UFFDIO_REGISTER_MODE_WP, userfaultfd, at, bytes);
}

Error unregister(const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept {
  if (!still_ours(userfaultfd)) return closed_by_the_program;
  uffdio_range range{reinterpret_cast<std::uintptr_t>(at), bytes};
  return failed_if(ask(SYS_ioctl, userfaultfd.number, UFFDIO_UNREGISTER, &range) == -1);
}

Error write_protect(const Descriptor& userfaultfd, void* at, std::size_t bytes, bool on) noexcept {
  uffdio_writeprotect range{};
  range.range = {reinterpret_cast<std::uintptr_t>(at), bytes};
  range.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  for (;;) {
    // No other kind of file knows this request, and another userfaultfd does the same: to ask afterwards is enough.
    if (ask(SYS_ioctl, userfaultfd.number, UFFDIO_WRITEPROTECT, &range) != -1) return {};
    const Error error{errno};
    if (error.code == EAGAIN || error.code == EINTR) continue;  // EAGAIN: the mappings were changing just then
    return still_ours(userfaultfd) ? error : closed_by_the_program;
  }
}

}  // namespace cow::os

// io_uring by its system calls: one read at a time, into a registered buffer or any. Knows nothing of arenas.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace cow::test {

class IoRing {
 public:
  IoRing() {
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, entries, &parameters_));
    if (fd_ == -1) return;
    submissions_ = map(parameters_.sq_off.array + parameters_.sq_entries * sizeof(std::uint32_t), IORING_OFF_SQ_RING);
    completions_ = map(parameters_.cq_off.cqes + parameters_.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    slots_ = map(parameters_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
  }
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;
  ~IoRing() {
    if (fd_ == -1) return;
    for (const Part& part : {submissions_, completions_, slots_}) ::munmap(part.at, part.bytes);
    ::close(fd_);
  }

  /// Whether the kernel lets this process have one.
  explicit operator bool() const { return fd_ != -1; }

  /// The kernel pins the buffer's pages for as long as the ring lives. False where it refuses.
  bool register_buffer(void* at, std::size_t bytes) {
    const iovec buffer = {at, bytes};
    return ::syscall(SYS_io_uring_register, fd_, IORING_REGISTER_BUFFERS, &buffer, 1) == 0;
  }

  /// Begins to read; what is read goes to `into`, which lies in the registered buffer or (fixed == false) anywhere.
  bool begin_read(int from, void* into, std::size_t bytes, bool fixed) {
    io_uring_sqe read = {};
    read.opcode = fixed ? IORING_OP_READ_FIXED : IORING_OP_READ;
    read.fd = from;
    read.off = ~std::uint64_t{0};  // a pipe has no position
    read.addr = reinterpret_cast<std::uintptr_t>(into);
    read.len = static_cast<std::uint32_t>(bytes);
    const std::uint32_t tail = word(submissions_, parameters_.sq_off.tail).load(std::memory_order_relaxed);
    const std::uint32_t slot = tail & word(submissions_, parameters_.sq_off.ring_mask).load(std::memory_order_relaxed);
    std::memcpy(slots_.at + slot * sizeof read, &read, sizeof read);
    word(submissions_, parameters_.sq_off.array + slot * sizeof(std::uint32_t)).store(slot, std::memory_order_relaxed);
    word(submissions_, parameters_.sq_off.tail).store(tail + 1, std::memory_order_release);
    return ::syscall(SYS_io_uring_enter, fd_, 1, 0, 0, nullptr, 0) == 1;
  }

  /// Waits for the read: bytes, or a negative errno.
  int wait() {
    while (::syscall(SYS_io_uring_enter, fd_, 0, 1, IORING_ENTER_GETEVENTS, nullptr, 0) == -1 && errno == EINTR) {
    }
    std::atomic_ref<std::uint32_t> head = word(completions_, parameters_.cq_off.head);
    const std::uint32_t at = head.load(std::memory_order_relaxed);
    if (at == word(completions_, parameters_.cq_off.tail).load(std::memory_order_acquire)) return -ETIME;
    const std::uint32_t slot = at & word(completions_, parameters_.cq_off.ring_mask).load(std::memory_order_relaxed);
    io_uring_cqe done;
    std::memcpy(&done, completions_.at + parameters_.cq_off.cqes + slot * sizeof done, sizeof done);
    head.store(at + 1, std::memory_order_release);
    return done.res;
  }

 private:
  static constexpr unsigned entries = 4;

  struct Part {
    std::byte* at = nullptr;
    std::size_t bytes = 0;
  };

  Part map(std::size_t bytes, std::uint64_t offset) const {
    void* const at =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, static_cast<off_t>(offset));
    return {static_cast<std::byte*>(at), bytes};
  }
  static std::atomic_ref<std::uint32_t> word(const Part& part, std::size_t offset) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(part.at + offset));
  }

  io_uring_params parameters_ = {};
  int fd_ = -1;
  Part submissions_, completions_, slots_;
};

}  // namespace cow::test

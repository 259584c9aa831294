// Buffers in an arena for system calls that write: read, recv, getrandom, ioctl, futex. No memory is owned here.
//
// A store to a protected page is caught and repeated. The kernel's own writes are not: the call fails with EFAULT, or
// stops short, where it meets the first protected page. Seen on Linux 6.18:
// - read from a pipe or a stream socket: EFAULT, and what was to be read is still there.
// - recv on a datagram socket: EFAULT, and the datagram is lost.
// - any call whose buffer begins on a writable page and goes on over a protected one: a short count, as ever.
// - getrandom, fstat: EFAULT, and nothing is lost.
// - futex operations that write (FUTEX_LOCK_PI, FUTEX_WAKE_OP): EFAULT; those that only wait and wake read, and work.
// - what the kernel writes on its own, with nobody to tell: lost. A robust mutex whose owner died on a protected page
//   stays locked for ever. Keep those outside of arenas.
//
// Which tool:
// - Nobody takes snapshots meanwhile: writable(), or Arena::prepare_write().
// - Snapshots, clones or fork() in other threads at any time: each protects the pages again, also between writable()
//   and the call. retry_on_efault() notices and tries again.
// - Calls that lose what they were about to deliver: a buffer outside of the arena and a copy; or for datagrams,
//   MSG_PEEK under retry_on_efault(), then taking the datagram out with an empty buffer.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cow/arena.hpp"
#include "cow/units.hpp"

namespace cow {

/// The same buffer, with all its pages writable until the next snapshot, clone or fork(). Errors as
/// Arena::prepare_write().
template <class T>
std::span<T> writable(const ArenaRef& arena, std::span<T> buffer) {
  if (!buffer.empty()) arena.prepare_write(static_cast<void*>(buffer.data()), buffer.size_bytes());
  return buffer;
}
template <class T>
std::span<T> writable(const Arena& arena, std::span<T> buffer) {
  return writable(arena.ref(), buffer);
}

/// Whether every page of the buffer can be written just now. A hint, as ArenaRef::is_writable().
inline bool is_writable(const ArenaRef& arena, std::span<const std::byte> buffer) noexcept {
  if (buffer.empty()) return true;
  for (std::size_t at = 0; at < buffer.size(); at += page_size()) {
    if (!arena.is_writable(buffer.data() + at)) return false;
  }
  return arena.is_writable(&buffer.back());
}

/// Makes the buffer writable, then calls `call`, which makes one system call into it and gives what that gives: -1 and
/// errno for a failure. Again from the start while that is EFAULT and pages were protected in between. An EFAULT for
/// another reason comes back, when it has come twice. Any threads may snapshot meanwhile; `call` must be one that can
/// be repeated (see above). Errors as Arena::prepare_write().
template <class T, class Call>
auto retry_on_efault(const ArenaRef& arena, std::span<T> buffer, Call&& call) {
  bool seen_for_no_reason = false;
  for (;;) {
    const std::uint64_t epoch = arena.epoch();
    writable(arena, buffer);
    const auto result = call();
    if (result != -1 || errno != EFAULT) return result;
    // A cut under way has protected pages, but not advanced the epoch yet; and others may have opened them again.
    const bool reason = arena.epoch() != epoch || !is_writable(arena, std::as_bytes(buffer));
    if (!reason && seen_for_no_reason) return result;
    seen_for_no_reason = !reason;
  }
}
template <class T, class Call>
auto retry_on_efault(const Arena& arena, std::span<T> buffer, Call&& call) {
  return retry_on_efault(arena.ref(), buffer, static_cast<Call&&>(call));
}

}  // namespace cow

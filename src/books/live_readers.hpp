// Threads that read versions straight from the arena's own mapping, which must not go away under them. No
// lock: readers never wait, and the one that takes the mapping away waits for a copy of a page at most.
#pragma once

#include <atomic>
#include <cstdint>

namespace cow {

/// Sanitizers would take a read beside a writer, or of what was never initialized, for an error.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool pages_are_read_in_place = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool pages_are_read_in_place = false;
#else
inline constexpr bool pages_are_read_in_place = true;
#endif
#else
inline constexpr bool pages_are_read_in_place = true;
#endif

/// How many threads are reading the mapping, and whether it still takes readers.
class LiveReaders {
 public:
  /// Whether the mapping may be read, until leave(). False for good once it is closed.
  bool enter() noexcept {
    if ((state_.fetch_add(1, std::memory_order_acquire) & closed) == 0) return true;
    leave();
    return false;
  }
  void leave() noexcept {
    // Release: what was read comes before the mapping goes. The last one may have somebody wait for it.
    if (state_.fetch_sub(1, std::memory_order_release) == (closed | 1)) state_.notify_all();
  }

  /// Returns when nobody reads the mapping, and nobody will.
  void close() noexcept {
    std::uint32_t now = state_.fetch_or(closed, std::memory_order_acquire) | closed;
    while (now != closed) {
      state_.wait(now, std::memory_order_acquire);
      now = state_.load(std::memory_order_acquire);
    }
  }
  bool is_closed() const noexcept { return (state_.load(std::memory_order_acquire) & closed) != 0; }

 private:
  static constexpr std::uint32_t closed = std::uint32_t{1} << 31;

  std::atomic<std::uint32_t> state_{0};
};

/// Reads the mapping for as long as it lives, if it may.
class LiveReader {
 public:
  explicit LiveReader(LiveReaders& readers) noexcept : readers_(readers), inside_(readers.enter()) {}
  ~LiveReader() {
    if (inside_) readers_.leave();
  }
  LiveReader(const LiveReader&) = delete;
  LiveReader& operator=(const LiveReader&) = delete;

  explicit operator bool() const noexcept { return inside_; }

 private:
  LiveReaders& readers_;
  const bool inside_;
};

}  // namespace cow

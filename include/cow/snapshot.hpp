// A handle on the content an arena had at one moment.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "cow/export.hpp"
#include "cow/view.hpp"

namespace cow {

class Arena;

namespace detail {
class Version;
}

/// A handle on one version of an arena: its whole content at the moment of Arena::snapshot().
/// Copying a handle shares the version; the last handle to go releases it. A snapshot may outlive
/// its arena. Default-constructed it is empty; using an empty one throws std::logic_error.
///
/// Thread safety: distinct handles may be used from any threads at once, also when they hold the
/// same version and while the arena is being written. One handle object is as safe as a shared_ptr.
class COW_API Snapshot {
 public:
  Snapshot() noexcept = default;
  Snapshot(const Snapshot&) noexcept;
  Snapshot(Snapshot&&) noexcept;
  Snapshot& operator=(Snapshot) noexcept;
  ~Snapshot();

  /// A new arena that starts with this content and shares its frames until either side writes.
  /// As many as you like, also after the arena is gone. Cost: runs of neighbouring frames, not pages: some
  /// 75 microseconds, and up to 100 for each run where pages moved because other clones or views were open.
  /// Throws std::system_error when the kernel refuses memory or mappings.
  [[nodiscard]] Arena clone() const;

  /// Maps this content read-only. Throws std::system_error when the kernel refuses.
  [[nodiscard]] View view() const;

  /// Copies `out.size()` bytes from `offset` into `out`, without mapping anything; safe while the
  /// arena is being written, and `out` may itself lie in an arena. A tenth of a microsecond and the time to copy, for
  /// up to 1 KiB of a page; more at once, or once the arena is gone, a microsecond a page. Throws std::invalid_argument
  /// when the range is outside the snapshot.
  void read(std::size_t offset, std::span<std::byte> out) const;

  /// What the object at this address of the arena was then. Pointers in it are as they were: to follow them, read()
  /// what they point to. Self-relative ones (cow::Allocator's) do not survive being copied: those want a view().
  /// The same cost and errors; also after the arena is gone, by the addresses that it had.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  T read(const T* at) const {
    std::array<std::byte, sizeof(T)> bytes;
    read(offset_of(at), bytes);
    return std::bit_cast<T>(bytes);
  }

  /// Bytes of address space of the arena it was taken from; 0 when empty.
  std::size_t capacity() const noexcept;

  /// Bytes that no one but this version needs: what dropping all handles on it, and its views, would free for new
  /// writes. The sum over several snapshots can be less than what dropping all of them frees. Cost: tens of
  /// nanoseconds for each page written between this snapshot and the next, times the number of clones.
  std::size_t exclusive_bytes() const;

  explicit operator bool() const noexcept { return version_ != nullptr; }

  /// Equal when they are handles on the same version. Two snapshots of an arena that was not
  /// written in between are the same version.
  friend bool operator==(const Snapshot&, const Snapshot&) noexcept = default;

  friend void swap(Snapshot& a, Snapshot& b) noexcept { std::swap(a.version_, b.version_); }

 private:
  friend struct detail::Access;
  std::size_t offset_of(const void* at) const;
  explicit Snapshot(detail::Version* adopted) noexcept : version_(adopted) {}

  detail::Version* version_ = nullptr;
};

}  // namespace cow

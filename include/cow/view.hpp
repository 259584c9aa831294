// A read-only mapping of a snapshot.
#pragma once

#include <cstddef>

#include "cow/export.hpp"
#include "cow/same_place.hpp"

namespace cow {

namespace detail {
struct MappedView;
struct Access;
}

/// A read-only mapping of a snapshot at an address of its own. Holds its version alive, also after
/// the snapshot handle and the arena are gone. Movable, not copyable. Writing into it is a fault
/// that is reported and handed on.
///
/// Cost: a view needs one kernel mapping for each run of neighbouring frames; the scattered rest is
/// copied when there would be too many. While a view is open, writers of its arena move to frames of
/// their own instead of copying the before-image away, which costs about twice as much a page.
///
/// Thread safety: as a standard container: concurrent reads are safe, moving and destroying are not.
class COW_API View {
 public:
  View() noexcept = default;
  View(View&&) noexcept;
  View& operator=(View&&) noexcept;
  ~View();

  /// The first byte; nullptr when empty or moved from.
  const std::byte* data() const noexcept;
  /// Bytes mapped: the capacity of the arena; 0 when empty or moved from.
  std::size_t size() const noexcept;
  bool contains(const void* p) const noexcept;
  /// The place in this view that `pointer` is in `original`, an arena or a view of the same family. As Arena::at().
  template <detail::Mapping Original, class T>
  const T* at(const Original& original, const T* pointer) const {
    return detail::same_place(original, detail::range_of(*this), pointer);
  }
  explicit operator bool() const noexcept { return data() != nullptr; }

 private:
  friend struct detail::Access;
  explicit View(detail::MappedView* adopted) noexcept : mapped_(adopted) {}

  detail::MappedView* mapped_ = nullptr;
};

}  // namespace cow

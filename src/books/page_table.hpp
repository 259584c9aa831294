// Birth and plane of each page of an arena, eight bytes a page. All zero says "as at the start": never
// written, or borrowed where the arena is a clone. Read by anyone, changed under the arena's fault lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/fences.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

class PageTable {
 public:
  struct Entry {
    Epoch birth;              // 0: as at the start
    std::uint32_t plane = 0;  // where the page's frame is, once it is the arena's own
    friend bool operator==(const Entry&, const Entry&) noexcept = default;
  };

  PageTable() noexcept = default;
  /// Zeroed memory of bytes_for(pages).
  explicit PageTable(std::byte* memory) noexcept : entries_(reinterpret_cast<std::uint64_t*>(memory)) {}
  static std::size_t bytes_for(std::uint64_t pages) noexcept { return pages * sizeof(std::uint64_t); }

  Entry get(Page p) const noexcept {
    const std::uint64_t bits = std::atomic_ref(entries_[p.value]).load(std::memory_order_acquire);
    return {{bits >> plane_bits}, static_cast<std::uint32_t>(bits & ((1u << plane_bits) - 1))};
  }
  /// Whether the entry is what get() gave, after all that the caller has read since.
  bool still(Page p, Entry entry) const noexcept {
    fence(std::memory_order_acquire);
    return std::atomic_ref(entries_[p.value]).load(std::memory_order_relaxed) == bits_of(entry);
  }
  /// Has the processor fetch it: it is asked for soon.
  void fetch_ahead(Page p) const noexcept { __builtin_prefetch(&entries_[p.value]); }
  /// After the log says where the old content is (release): a reader that sees the new entry finds the log's.
  void set(Page p, Entry entry) noexcept COW_FAULT_LOCKED {
    std::atomic_ref(entries_[p.value]).store(bits_of(entry), std::memory_order_release);
  }

  // 46 bits of epochs: at a million snapshots a second, each with something written, they last for two years.
  static constexpr int plane_bits = 18;

 private:
  static std::uint64_t bits_of(Entry entry) noexcept { return entry.birth.value << plane_bits | entry.plane; }

  std::uint64_t* entries_ = nullptr;
};

}  // namespace cow

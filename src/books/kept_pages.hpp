// What the logs keep for one version, by page. Changed with the operation mutex held; looked up without any
// lock, so that reading an old page asks nobody.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "kernel/book_memory.hpp"
#include "words/units.hpp"

namespace cow {
namespace detail {

/// A page written since a version was taken, and the frame that still shows what it was.
struct KeptPage {
  Page page;
  Frame frame;
};

/// The same, as a sweep of the logs comes upon it.
struct FoundInLogs {
  KeptPage page;
  std::uint64_t order;  // among all entries found: the first log wins
};

/// Room for what sweeps of an arena's logs find, which stays while it is small: asking the kernel for it would cost
/// more than a sweep of some pages.
class SweepRoom {
 public:
  BookVector<FoundInLogs> found;
  BookVector<KeptPage> joining;

  void clear() noexcept {
    found.clear_up_to(os::page_size());
    joining.clear_up_to(os::page_size());
  }
  std::size_t capacity_bytes() const noexcept { return found.capacity_bytes() + joining.capacity_bytes(); }
};

/// Two sorted tables, the whole and a small one of recent additions, each replaced when it changes. Invariant: a page
/// once in stays, with the same frame.
class KeptPages {
 public:
  KeptPages() noexcept = default;
  KeptPages(const KeptPages&) = delete;
  KeptPages& operator=(const KeptPages&) = delete;
  ~KeptPages();

  // -- With the operation mutex ---------------------------------------------------------------------------------

  /// Sorted pages that were not in it join. Cost: about the square root of what there is, and memory for a table.
  os::Error add(const BookVector<KeptPage>& found) noexcept;
  /// Before begin() and end() are asked for. Cost: of what there is, where something has joined.
  os::Error make_whole() noexcept;

  const KeptPage* begin() const noexcept { return first_of(whole_.load(std::memory_order_relaxed)); }
  const KeptPage* end() const noexcept { return last_of(whole_.load(std::memory_order_relaxed)); }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end() - begin()); }
  std::size_t capacity_bytes() const noexcept;

  // -- Without a lock -------------------------------------------------------------------------------------------

  /// The frame that keeps page p, as far as the logs have been swept.
  std::optional<Frame> find(Page p) const noexcept;

 private:
  /// The pages lie behind it, in the same memory.
  struct Table {
    std::size_t size = 0;
    Table* next = nullptr;  // of those replaced

    std::size_t bytes() const noexcept { return sizeof(Table) + size * sizeof(KeptPage); }
    KeptPage* pages() noexcept { return reinterpret_cast<KeptPage*>(this + 1); }
    const KeptPage* pages() const noexcept { return reinterpret_cast<const KeptPage*>(this + 1); }
  };
  static_assert(alignof(Table) >= alignof(KeptPage));

  static const KeptPage* first_of(const Table* table) noexcept { return table == nullptr ? nullptr : table->pages(); }
  static const KeptPage* last_of(const Table* table) noexcept {
    return table == nullptr ? nullptr : table->pages() + table->size;
  }
  static os::Result<Table*> merged(const Table* table, const KeptPage* more, const KeptPage* more_end) noexcept;
  static void discard(Table* chain) noexcept;
  static const KeptPage* find_in(const Table* table, Page p) noexcept;
  static std::size_t capacity_of(const Table* chain) noexcept;

  os::Error replace(std::atomic<Table*>& table, os::Result<Table*> by) noexcept;
  void retire(Table* table) noexcept;

  std::atomic<Table*> whole_{nullptr}, recent_{nullptr};
  // Readers count themselves under the turn's parity. A table that was replaced before the turn began is discarded when
  // those of the other parity are gone; then the turn changes.
  mutable std::atomic<std::uint32_t> readers_[2]{};
  std::atomic<std::uint32_t> turn_{0};
  Table* replaced_before_turn_ = nullptr;
  Table* replaced_in_turn_ = nullptr;
};

}  // namespace detail

using detail::KeptPage;
using detail::KeptPages;
using detail::FoundInLogs;
using detail::SweepRoom;

}  // namespace cow

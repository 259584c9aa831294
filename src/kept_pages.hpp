// Layer 3: what the logs keep for one version, by page. Changed with the operation mutex held; looked up without any lock,
// so that reading an old page asks nobody.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "book_memory.hpp"
#include "units.hpp"

namespace cow {
namespace detail {

/// A page written since a version was taken, and the frame that still shows what it was.
struct KeptPage {
  Page page;
  Frame frame;
};

/// A sorted table, replaced as a whole. Invariant: a page once in it stays, with the same frame.
class KeptPages {
 public:
  KeptPages() noexcept = default;
  KeptPages(const KeptPages&) = delete;
  KeptPages& operator=(const KeptPages&) = delete;
  ~KeptPages() { discard_from(table_.load(std::memory_order_acquire)); }

  // -- With the operation mutex ---------------------------------------------------------------------------------

  const KeptPage* begin() const noexcept { return current() == nullptr ? nullptr : current()->pages.begin(); }
  const KeptPage* end() const noexcept { return current() == nullptr ? nullptr : current()->pages.end(); }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end() - begin()); }
  std::size_t capacity_bytes() const noexcept {
    std::size_t bytes = 0;
    for (const Table* table = current(); table != nullptr; table = table->replaced) {
      bytes += table->pages.capacity_bytes();
    }
    return bytes;
  }

  /// Readers may be in the table from before: then it stays until the next time that nobody is.
  os::Error replace(BookVector<KeptPage> pages) noexcept {
    const os::Result<Table*> next = book_new<Table>(std::move(pages), current());
    if (!next) return next.error;
    table_.store(next.value, std::memory_order_seq_cst);
    if (readers_.load(std::memory_order_seq_cst) == 0) discard_from(std::exchange(next.value->replaced, nullptr));
    return {};
  }

  // -- Without a lock -------------------------------------------------------------------------------------------

  /// The frame that keeps page p, as far as the logs have been swept.
  std::optional<Frame> find(Page p) const noexcept {
    // Sequentially consistent, as in replace(): who counts zero readers knows that all to come will find the new table.
    readers_.fetch_add(1, std::memory_order_seq_cst);
    std::optional<Frame> frame;
    if (const Table* const table = table_.load(std::memory_order_seq_cst)) {
      const KeptPage* const at = std::lower_bound(table->pages.begin(), table->pages.end(), p,
                                                  [](const KeptPage& kept, Page page) { return kept.page < page; });
      if (at != table->pages.end() && at->page == p) frame = at->frame;
    }
    readers_.fetch_sub(1, std::memory_order_release);
    return frame;
  }

 private:
  struct Table {
    Table(BookVector<KeptPage> of, Table* before) noexcept : pages(std::move(of)), replaced(before) {}
    const BookVector<KeptPage> pages;
    Table* replaced;  // and those before it, still to be discarded
  };

  const Table* current() const noexcept { return table_.load(std::memory_order_relaxed); }
  Table* current() noexcept { return table_.load(std::memory_order_relaxed); }
  static void discard_from(Table* table) noexcept {
    while (table != nullptr) book_delete(std::exchange(table, table->replaced));
  }

  std::atomic<Table*> table_{nullptr};
  mutable std::atomic<std::uint32_t> readers_{0};
};

}  // namespace detail

using detail::KeptPage;
using detail::KeptPages;

}  // namespace cow

// Kept pages. See books/kept_pages.hpp.
#include "books/kept_pages.hpp"

namespace cow::detail {
namespace {

template <class Chain>
void discard(Chain* table) noexcept {
  while (table != nullptr) book_delete(std::exchange(table, table->next));
}

/// Both sorted, with no page in common.
os::Error merge(const KeptPage* a, const KeptPage* a_end, const KeptPage* b, const KeptPage* b_end,
                BookVector<KeptPage>& merged) noexcept {
  if (const os::Error error = merged.make_room(static_cast<std::size_t>((a_end - a) + (b_end - b)))) return error;
  while (a != a_end || b != b_end) {
    const bool from_a = b == b_end || (a != a_end && a->page < b->page);
    merged.append(from_a ? *a++ : *b++);
  }
  return {};
}

}  // namespace

KeptPages::~KeptPages() {
  for (Table* chain : {whole_.load(std::memory_order_acquire), recent_.load(std::memory_order_acquire),
                       replaced_before_turn_, replaced_in_turn_}) {
    discard(chain);
  }
}

const KeptPage* KeptPages::find_in(const Table* table, Page p) noexcept {
  const KeptPage* const at = std::lower_bound(first_of(table), last_of(table), p,
                                              [](const KeptPage& kept, Page page) { return kept.page < page; });
  return at != last_of(table) && at->page == p ? at : nullptr;
}

std::optional<Frame> KeptPages::find(Page p) const noexcept {
  // All sequentially consistent: who counts no readers knows that those to come will find what has replaced a table.
  // The recent ones first: they join the whole before they leave there.
  std::atomic<std::uint32_t>& readers = readers_[turn_.load(std::memory_order_seq_cst) % 2];
  readers.fetch_add(1, std::memory_order_seq_cst);
  const KeptPage* kept = find_in(recent_.load(std::memory_order_seq_cst), p);
  if (kept == nullptr) kept = find_in(whole_.load(std::memory_order_seq_cst), p);
  const std::optional<Frame> frame = kept == nullptr ? std::nullopt : std::optional(kept->frame);
  readers.fetch_sub(1, std::memory_order_release);
  return frame;
}

os::Error KeptPages::add(const BookVector<KeptPage>& found) noexcept {
  const Table* const recent = recent_.load(std::memory_order_relaxed);
  BookVector<KeptPage> merged;
  if (const os::Error error = merge(first_of(recent), last_of(recent), found.begin(), found.end(), merged)) {
    return error;
  }
  const std::size_t few = std::size_t{2} << (std::bit_width(size()) / 2);
  const bool many = merged.size() > few;
  if (const os::Error error = replace(recent_, std::move(merged))) return error;
  if (many) (void)make_whole();  // where memory is short, later
  return {};
}

os::Error KeptPages::make_whole() noexcept {
  const Table* const recent = recent_.load(std::memory_order_relaxed);
  if (recent == nullptr) return {};
  BookVector<KeptPage> merged;
  if (const os::Error error = merge(begin(), end(), first_of(recent), last_of(recent), merged)) return error;
  if (const os::Error error = replace(whole_, std::move(merged))) return error;
  retire(recent_.exchange(nullptr, std::memory_order_seq_cst));
  return {};
}

os::Error KeptPages::replace(std::atomic<Table*>& table, BookVector<KeptPage> pages) noexcept {
  const os::Result<Table*> next = book_new<Table>(std::move(pages));
  if (!next) return next.error;
  retire(table.exchange(next.value, std::memory_order_seq_cst));
  return {};
}

void KeptPages::retire(Table* table) noexcept {
  if (table == nullptr) return;
  table->next = std::exchange(replaced_in_turn_, table);
  const std::uint32_t turn = turn_.load(std::memory_order_relaxed);
  if (readers_[(turn + 1) % 2].load(std::memory_order_seq_cst) != 0) return;
  discard(std::exchange(replaced_before_turn_, std::exchange(replaced_in_turn_, nullptr)));
  turn_.store(turn + 1, std::memory_order_seq_cst);
}

std::size_t KeptPages::capacity_of(const Table* chain) noexcept {
  std::size_t bytes = 0;
  for (; chain != nullptr; chain = chain->next) bytes += chain->pages.resident_bytes() + os::page_size();
  return bytes;
}

std::size_t KeptPages::capacity_bytes() const noexcept {
  return capacity_of(whole_.load(std::memory_order_relaxed)) + capacity_of(recent_.load(std::memory_order_relaxed)) +
         capacity_of(replaced_before_turn_) + capacity_of(replaced_in_turn_);
}

}  // namespace cow::detail

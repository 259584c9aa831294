// Kept pages. See books/kept_pages.hpp.
#include "books/kept_pages.hpp"

namespace cow::detail {

/// Both sorted, with no page in common.
os::Result<KeptPages::Table*> KeptPages::merged(const Table* table, const KeptPage* more,
                                                const KeptPage* more_end) noexcept {
  const KeptPage *at = first_of(table), *const end = last_of(table);
  const Table made{static_cast<std::size_t>((end - at) + (more_end - more))};
  const os::Result<void*> memory = os::reserve_books(made.bytes());
  if (!memory) return {nullptr, memory.error};
  Table* const result = ::new (memory.value) Table(made);
  std::merge(at, end, more, more_end, result->pages(),
             [](const KeptPage& a, const KeptPage& b) { return a.page < b.page; });
  return {result, {}};
}

void KeptPages::discard(Table* chain) noexcept {
  while (chain != nullptr) {
    Table* const table = std::exchange(chain, chain->next);
    os::unmap(table, table->bytes());
  }
}

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
  if (recent == nullptr && size() == 0) return replace(whole_, merged(nullptr, found.begin(), found.end()));
  const std::size_t few = std::size_t{2} << (std::bit_width(size()) / 2);
  if (const os::Error error = replace(recent_, merged(recent, found.begin(), found.end()))) return error;
  const Table* const joined = recent_.load(std::memory_order_relaxed);
  if (joined->size > few) (void)make_whole();  // where memory is short, later
  return {};
}

os::Error KeptPages::make_whole() noexcept {
  const Table* const recent = recent_.load(std::memory_order_relaxed);
  if (recent == nullptr) return {};
  const Table* const whole = whole_.load(std::memory_order_relaxed);
  if (const os::Error error = replace(whole_, merged(whole, first_of(recent), last_of(recent)))) return error;
  retire(recent_.exchange(nullptr, std::memory_order_seq_cst));
  return {};
}

os::Error KeptPages::replace(std::atomic<Table*>& table, os::Result<Table*> by) noexcept {
  if (!by) return by.error;
  retire(table.exchange(by.value, std::memory_order_seq_cst));
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
  const std::size_t page = os::page_size();
  std::size_t bytes = 0;
  for (; chain != nullptr; chain = chain->next) bytes += (chain->bytes() + page - 1) / page * page;
  return bytes;
}

std::size_t KeptPages::capacity_bytes() const noexcept {
  return capacity_of(whole_.load(std::memory_order_relaxed)) + capacity_of(recent_.load(std::memory_order_relaxed)) +
         capacity_of(replaced_before_turn_) + capacity_of(replaced_in_turn_);
}

}  // namespace cow::detail

// Layer 7: cow::View: a version mapped read-only. What it never had written is anonymous zero memory.
#include "cow/view.hpp"

#include <utility>

#include "arena_lifetime.hpp"
#include "fault_registry.hpp"
#include "mapped_view.hpp"
#include "operation.hpp"

namespace cow {

using detail::MappedView;

namespace {

os::Error map_range(MappedView& view, const ArenaBooks& books, const RunList& runs) noexcept {
  const std::size_t guard = os::page_size();
  view.bytes = books.bytes(books.pages);
  view.reserved_bytes = view.bytes + 2 * guard;
  const os::Result<void*> range = os::reserve_addresses(nullptr, view.reserved_bytes);
  if (!range) return range.error;
  view.reservation = static_cast<std::byte*>(range.value);
  view.base = view.reservation + guard;
  if (const os::Error error = os::map_zero(view.base, view.bytes)) return error;
  if (const os::Error error = map_runs(books.family.file, view.base, runs)) return error;
  const os::Result<FaultSlot*> slot = fault_registry::take();
  if (!slot) return slot.error;
  view.slot = slot.value;
  view.mappings = runs.mappings(books.pages) + 2;
  MappingBudget::used.fetch_add(view.mappings, std::memory_order_relaxed);
  return {};
}

/// Unmaps, then ends the loan, then lets the version go: in this order no frame changes while it is mapped.
void close(MappedView* view) noexcept {
  if (view == nullptr || !of_this_process(view->version->books)) return;
  const os::AsyncSignalsBlocked blocked;
  if (view->slot != nullptr) {
    fault_registry::withdraw(*view->slot);
    fault_registry::give_back(*view->slot);
  }
  if (view->reservation != nullptr) os::unmap(view->reservation, view->reserved_bytes);
  MappingBudget::used.fetch_sub(view->mappings, std::memory_order_relaxed);
  give_back_loan(view->version->books.family, view->loan);
  release_version(view->version);
  book_delete(view);
}

}  // namespace

MappedView* map_view(Version& version) {
  ArenaBooks& books = version.books;
  const std::string what = "a view of a snapshot of " + in_bytes(books.bytes(books.pages));
  const os::Result<MappedView*> view = book_new<MappedView>();
  throw_if(view.error, what);
  os::Error error;
  {
    const Operation operation(books);
    try {
      view.value->loan = lend_version(version, what.c_str());
    } catch (...) {
      book_delete(view.value);
      throw;
    }
    version.handles.fetch_add(1, std::memory_order_relaxed);
    view.value->version = &version;
    error = map_range(*view.value, books, version.runs);
  }
  if (!error) fault_registry::publish(*view.value->slot, view.value->base, view.value->bytes, nullptr, view.value);
  if (error) close(view.value);
  throw_if(error, what);
  return view.value;
}

View::View(View&& other) noexcept : mapped_(std::exchange(other.mapped_, nullptr)) {}

View& View::operator=(View&& other) noexcept {
  if (this != &other) {
    close(mapped_);
    mapped_ = std::exchange(other.mapped_, nullptr);
  }
  return *this;
}

View::~View() { close(mapped_); }

const std::byte* View::data() const noexcept { return mapped_ == nullptr ? nullptr : mapped_->base; }
std::size_t View::size() const noexcept { return mapped_ == nullptr ? 0 : mapped_->bytes; }
bool View::contains(const void* p) const noexcept { return mapped_ != nullptr && p >= data() && p < data() + size(); }

}  // namespace cow

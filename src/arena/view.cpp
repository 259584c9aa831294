// cow::View: a version mapped read-only. What it never had written is anonymous zero memory.
#include "cow/view.hpp"

#include <cerrno>
#include <utility>

#include "arena/idle_view.hpp"
#include "arena/lifetime.hpp"
#include "arena/mapped_view.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/saved_mapping.hpp"
#include "books/versions.hpp"
#include "faults/registry.hpp"

namespace cow {

using detail::MappedView;

namespace {

constexpr std::uint64_t few_runs = 64;
constexpr std::uint64_t most_copied_part = 8;  // at most this part of the pages

/// A view's content as long runs, each mapped as one, and what is copied over them, privately, since it is scattered.
struct ViewPlan {
  RunList mapped;
  BookVector<Run> copied;
  std::uint64_t copied_pages = 0;
};

/// A run goes on behind others for as long as later frames are where it would have them; what is short and stands
/// elsewhere, between, is copied. Pages between that read as zero end it: what is mapped there may have content by now.
os::Error plan_with_copies(const RunList& runs, ViewPlan& plan) noexcept {
  Run open{};
  std::uint64_t in_line = 0;  // pages of the open run that are not copied over
  Page covered{0};
  for (const Run& run : runs) {
    const bool gap = run.first != covered;
    covered = run.end();
    if (!gap && open.count != 0 && open.frame_of(run.first) == run.frame) {
      open.count = run.end() - open.first;
      in_line += run.count;
      continue;
    }
    const bool follows = !gap && open.count != 0;
    if (run.count < length_worth_mapping && (History::owns(run.frame) || (follows && run.count <= in_line))) {
      if (const os::Error error = plan.copied.push_back(run)) return error;
      plan.copied_pages += run.count;
      if (follows) continue;
    }
    if (const os::Error error = plan.mapped.append(open)) return error;
    open = History::owns(run.frame) && run.count < length_worth_mapping ? Run{} : run;
    in_line = open.count;
  }
  return plan.mapped.append(open);
}

/// Private mappings: what is copied into them is the view's alone, and splits nothing.
os::Error map_with_copies(const MappedView& view, const FrameFile& file, const ViewPlan& plan) noexcept {
  const std::size_t page = file.page_bytes();
  if (const os::Error error = os::protect(view.base, view.bytes, os::Access::read_write)) return error;
  for (const Run& run : plan.mapped) {
    std::byte* const at = view.base + run.first.value * page;
    const os::Descriptor& fd = file.fd(run.frame);
    if (const os::Error error = os::map_file_privately(at, run.count * page, fd, file.offset(run.frame))) return error;
  }
  for (const Run& run : plan.copied) {
    std::byte* const at = view.base + run.first.value * page;
    if (const os::Error error = os::read_at(file.fd(run.frame), at, run.count * page, file.offset(run.frame))) {
      return error;
    }
  }
  return os::protect(view.base, view.bytes, os::Access::read);
}

/// Maps the runs one by one, or with the scattered ones copied where those are many. Gives the mappings used.
os::Result<std::uint64_t> map_content(MappedView& view, Version& version) noexcept COW_IN_OPERATION {
  const ArenaBooks& books = version.books;
  const FrameFile& file = books.family.file;
  if (version.runs.size() > few_runs) {
    ViewPlan plan;
    if (const os::Error error = plan_with_copies(version.runs, plan)) return {0, error};
    const std::uint64_t mappings = plan.mapped.mappings(books.pages);
    if (plan.copied_pages <= books.pages / most_copied_part && mappings <= fair_share_of_mappings()) {
      const os::Error error = map_with_copies(view, file, plan);
      if (error.code != ENOMEM) return {mappings, error};
      // Strict overcommit accounts for private memory as a whole: then shared mappings alone.
      if (const os::Error zero = os::map_zero(view.base, view.bytes)) return {0, zero};
    }
  }
  const std::uint64_t with_copies = mappings_with_copies(version.runs), most = fair_share_of_mappings();
  const bool by_copies = scattered_in_saved_files(file, version.runs) && with_copies <= most;
  if (const os::Error error = by_copies ? os::Error{} : flatten(version, most)) return {0, error};
  note_shown(view, version);
  return {by_copies ? with_copies : version.runs.mappings(books.pages), map_runs(file, view.base, version.runs)};
}

os::Error map_anew(MappedView& view, Version& version) noexcept COW_IN_OPERATION {
  const ArenaBooks& books = version.books;
  const std::size_t guard = os::page_size();
  view.bytes = books.bytes(books.pages);
  view.reserved_bytes = view.bytes + 2 * guard;
  const os::Result<void*> range = os::reserve_addresses(nullptr, view.reserved_bytes);
  if (!range) return range.error;
  view.reservation = static_cast<std::byte*>(range.value);
  view.base = view.reservation + guard;
  if (const os::Error error = os::map_zero(view.base, view.bytes)) return error;
  const os::Result<std::uint64_t> content = map_content(view, version);
  if (!content) return view.shown = RunList{}, content.error;
  if (!books.in_core_dumps) os::hide_from_core_dumps(view.base, view.bytes);
  view.mappings = content.value + 2;  // the guards
  MappingBudget::used.fetch_add(view.mappings, std::memory_order_relaxed);
  return {};
}

os::Error map_range(MappedView& view, Version& version) noexcept COW_IN_OPERATION {
  if (!take_idle_view(version.books, version, view)) {
    if (const os::Error error = map_anew(view, version)) return error;
  }
  const os::Result<FaultSlot*> slot = fault_registry::take();
  if (!slot) return slot.error;
  view.slot = slot.value;
  return {};
}

/// Unmaps, or leaves the mapping to the next view, then ends the loan, then lets the version go: in this order no frame
/// changes while somebody may see it.
void close_mapped(MappedView* view) noexcept {
  const os::AsyncSignalsBlocked blocked;
  if (view->slot != nullptr) {
    fault_registry::withdraw(*view->slot);
    fault_registry::give_back(*view->slot);
  }
  leave_idle_or_unmap(*view);
  give_back_loan(view->version->books.family, view->loan);
  release_version(view->version);
  book_delete(view);
}

void close(MappedView* view) noexcept {
  if (view == nullptr || !of_this_process(view->version->books)) return;
  on_ordinary_stack([&] { close_mapped(view); });
}

}  // namespace

MappedView* map_view(Version& version) {
  ArenaBooks& books = version.books;
  const std::string what = "a view of a snapshot of " + in_bytes(books.bytes(books.pages));
  const os::Result<MappedView*> view = book_new<MappedView>();
  throw_if(view.error, what);
  os::Error error;
  std::uint64_t mappings = 0;
  {
    const Operation operation(books);
    const os::Result<Loan*> loan = lend_version(version, books.pages * 2);
    if (!loan) book_delete(view.value);
    throw_if(loan.error, what);
    view.value->loan = loan.value;
    version.handles.fetch_add(1, std::memory_order_relaxed);
    view.value->version = &version;
    error = map_range(*view.value, version);
    mappings = version.runs.mappings(books.pages);
  }
  if (!error) {
    fault_registry::publish(*view.value->slot, view.value->base, view.value->bytes, nullptr, view.value, &books);
  }
  if (error) close(view.value);
  throw_if(error, [&] { return what + for_want_of_mappings(error, mappings); });
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

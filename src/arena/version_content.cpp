// See arena/version_content.hpp.
#include "arena/version_content.hpp"

#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "barrier/home_alias.hpp"
#include "books/versions.hpp"

namespace cow {

os::Error VersionContent::open(const ArenaBooks& into, bool cut) noexcept {
  ArenaBooks& books = version_.books;
  own_ = &books == &into;
  shown_by_own_ = own_ && cut;
  if (zeros_.data() == nullptr) {
    os::Result<BookBuffer> zeros = BookBuffer::reserve(books.bytes(1));
    if (!zeros) return zeros.error;
    zeros_ = std::move(zeros.value);
  }
  const Operation operation(books);
  if (own_) {
    const LogEnd end = log_end_now(books);
    return sweep_logs(version_, end);
  }
  if (loan_ != nullptr) return {};
  const os::Result<Loan*> loan = lend_version(version_, 2 * books.pages);
  if (!loan) return loan.error;
  loan_ = loan.value;
  near_ = NearPages(books);
  return runs_.copy(version_.runs);
}

VersionContent::~VersionContent() {
  const os::AsyncSignalsBlocked blocked;
  if (loan_ != nullptr) give_back_loan(version_.books.family, loan_);
}

/// None: the arena that is written shows it itself. Under the kernel barrier that may be a front, of which no log tells
/// yet: the frame has what was there before, or the page reads as zero. After a cut there is none such; and the frame
/// may be given up at any moment, since nobody has lent it, when another thread's cut takes the page home.
std::optional<Frame> VersionContent::frame_of(Page p) const noexcept COW_HELD_UNCHECKED {
  if (!own_) return runs_.find(p);
  const ArenaBooks& books = version_.books;
  const std::optional<Frame> kept = version_.kept.find(p);
  if (kept || shown_by_own_ || books.is_excluded(p)) return kept;
  if (!books.fronts.in_use.load(std::memory_order_acquire)) return {};
  return books.birth_of(p) == never_written || books.blank.contains(p) ? zero_frame : books.frame_of(p);
}

os::Error VersionContent::add(Pages run) noexcept {
  for (Page p = run.first; p < run.end(); ++p) {
    const std::optional<Frame> frame = frame_of(p);
    if (!frame) continue;
    if (const os::Error error = frames_.add(*frame)) return error;
  }
  return {};
}

/// Its frame is the version's for as long as the loan is out, whatever the page's entry says of births.
const std::byte* VersionContent::shown_by_its_arena(Page p, Frame frame) const noexcept {
  const ArenaBooks& books = version_.books;
  const PageTable::Entry entry = books.table.get(p);
  if (entry.birth == never_written || Frame{entry.plane * books.pages + p.value} != frame) return nullptr;
  if (books.is_excluded(p)) return nullptr;
  if (!books.fronts.in_use.load(std::memory_order_acquire)) return books.address_of(p);
  return reached_by_alias(books, p) ? alias_of(books, p) : nullptr;
}

/// A page of the arena that is written may have moved since add() was told of it, by a cut of another thread. Whoever
/// asked finds that out before anything is written, and what is returned then is of no importance.
const std::byte* VersionContent::lasting(Page p, std::optional<Frame> frame) const noexcept {
  if (!frame) return version_.books.address_of(p);
  return *frame == zero_frame || !frames_.has(*frame) ? zeros_.data() : frames_.address(*frame);
}

/// A hint, without the lock.
const std::byte* VersionContent::glimpse(Page p) const noexcept COW_HELD_UNCHECKED {
  const ArenaBooks& books = version_.books;
  const bool any = nearby_ && books.fronts.in_use.load(std::memory_order_acquire) && books.fronts.present.contains(p);
  return any && books.family.file.saved().empty() ? books.address_of(p) : nullptr;  // else it might vanish
}

PageWrite VersionContent::as_write(Page p) const noexcept {
  const std::optional<Frame> frame = frame_of(p);
  const std::byte* const from = lasting(p, frame);
  if (!frame || *frame == zero_frame || History::owns(*frame)) return {p, from, from};
  const bool by_alias = version_.books.fronts.in_use.load(std::memory_order_acquire);
  const std::byte* const near = nearby_ && !by_alias ? shown_by_its_arena(p, *frame) : nullptr;
  if (near != nullptr) return {p, from, near};
  return {p, from, from, SavedFiles::owns(*frame) ? zero_frame : *frame};
}

const std::byte* VersionContent::at(Page p) const noexcept {
  const std::optional<Frame> frame = frame_of(p);
  const std::byte* const near = nearby_ && frame ? shown_by_its_arena(p, *frame) : nullptr;
  return near != nullptr ? near : lasting(p, frame);
}

const std::byte* VersionContent::lasting(Page p) const noexcept { return lasting(p, frame_of(p)); }

os::Result<const std::byte*> VersionContent::read(Page p, std::byte* page) const noexcept {
  const std::optional<Frame> frame = frame_of(p);
  if (!frame || *frame == zero_frame || History::owns(*frame)) return {lasting(p, frame), {}};
  const FrameFile& file = version_.books.family.file;
  return {page, os::read_at(file.fd(*frame), page, file.page_bytes(), file.offset(*frame))};
}

}  // namespace cow

// Snapshot::exclusive_bytes(): follows the steps of dropping a version (books/versions.cpp) without taking
// them.
#include "arena/operation.hpp"
#include "books/versions.hpp"

namespace cow {
namespace {

/// The frames that would become free if one version went. The operation mutex of its arena is held.
class WhatWouldGo {
 public:
  explicit WhatWouldGo(const Version& version) noexcept COW_IN_OPERATION
      : version_(version), books_(version.books), lending_(books_.family.lending) {
    const auto place = books_.versions.iterator_to(version_);
    if (place != books_.versions.begin()) older_ = &*std::prev(place);
    newest_ = &books_.versions.back() == &version_;
  }

  std::uint64_t frames() noexcept COW_IN_OPERATION {
    const LogEnd end = log_end_now(books_);
    version_.log.for_each_between({}, newest_ ? end.mark : version_.log.mark(),
                                  [&](const LogEntry& entry) COW_HELD_UNCHECKED { add_logged(entry); });
    for (const Run& run : version_.flattened) add_owned(run);
    if (!books_.mapped()) add_of_gone_arena();
    return frames_;
  }

 private:
  Epoch older_epoch() const noexcept { return older_ == nullptr ? never_written : older_->epoch; }

  void add_logged(const LogEntry& entry) noexcept COW_IN_OPERATION {
    if (older_ != nullptr && entry.birth <= older_->epoch) return;
    if (entry.owned) add_owned({entry.page, 1, entry.frame});
    if (!entry.owned && entry.birth == borrowed_birth) add_borrowed(entry.page, entry.frame);
  }

  void add_owned(const Run& run) noexcept COW_IN_OPERATION {
    FaultLockHeld held(books_.family.file.lock());
    for (Page p = run.first; p < run.end(); ++p) frames_ += lending_.borrowers_of(run.frame_of(p)) == 0 ? 1 : 0;
  }

  /// A frame whose owner gave it up goes with the last of its borrowers.
  void add_borrowed(Page p, Frame frame) noexcept COW_IN_OPERATION {
    if (SavedFiles::owns(frame)) return;
    FaultLockHeld held(books_.family.file.lock());
    if (books_.borrower.shows(p, frame) && books_.family.file.loose_count(frame) == 1) ++frames_;
  }

  /// Live frames of an arena that is gone stay for its versions alone. No lock covers them: there are no faults.
  void add_of_gone_arena() noexcept COW_HELD_UNCHECKED {
    if (!newest_) return;
    for (Page p = books_.own.next({0}); p != books_.own.end(); p = books_.own.next(p + 1)) {
      if (books_.table.get(p).birth > older_epoch() && !books_.blank.contains(p)) add_owned({p, 1, books_.frame_of(p)});
    }
    if (older_ != nullptr) return;
    for (const Run& run : books_.borrower.base) {
      for (Page p = run.first; p < run.end(); ++p) {
        if (books_.table.get(p).birth == never_written) add_borrowed(p, run.frame_of(p));
      }
    }
  }

  const Version& version_;
  ArenaBooks& books_;
  const Lending& lending_;
  const Version* older_ = nullptr;
  bool newest_ = false;
  std::uint64_t frames_ = 0;
};

}  // namespace

std::size_t Snapshot::exclusive_bytes() const {
  const Version& version = usable(version_, "exclusive_bytes");
  const Operation operation(version.books);
  return version.books.bytes(WhatWouldGo(version).frames());
}

}  // namespace cow

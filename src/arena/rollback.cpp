// Rollback in two steps: first all pages concerned become private, which can fail; then content is copied,
// which cannot: whatever is copied from is mapped before.
#include "arena/rollback.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "arena/came_along.hpp"
#include "arena/change_barrier.hpp"
#include "arena/changed_since.hpp"
#include "arena/lifetime.hpp"
#include "arena/mapped_frames.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "books/versions.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "rule/collect.hpp"
#include "rule/copy_on_write.hpp"
#include "rule/known_writes.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

constexpr std::uint64_t mappings_to_spare = 4 * pages_at_once;

/// Whether so many runs can be opened at once without closing others of them again: who copies to them must meet no
/// fault, which nobody could be told of.
bool can_be_opened_at_once(const ArenaBooks& books, std::uint64_t runs) noexcept {
  return books.barrier->collects || MappingBudget::left() >= mappings_to_spare + 2 * runs;
}

os::Error touch_to_write(const ArenaBooks& books, Pages run) noexcept {
  return touch_what_may_vanish(books, run, os::Access::read_write);
}

os::Error make_pages_writable(ArenaBooks& books, Pages run) noexcept COW_SIGNALS_BLOCKED {
  if (books.barrier->collects) return touch_to_write(books, run);  // they are writable
  for (Page p = run.first; p < run.end();) {
    const Pages part{p, std::min(pages_at_once, run.end() - p)};
    FaultLockHeld held(*books.fault_lock);
    if (const os::Error error = make_writable(books, part)) return error;
    p = part.end();
  }
  return {};
}

/// Whether the content of a run is at hand. If not, it was as the version shows it when the others' frames were mapped,
/// and still is, though another thread has prepared it for writing since.
bool is_at_hand(const Run& run, const MappedFrames& frames) noexcept {
  return run.frame == zero_frame || frames.has(run.frame);
}

/// The same content for a run of pages: from frames that follow each other, or zero.
void copy_content(ArenaBooks& books, const Run& run, const MappedFrames& frames) noexcept {
  std::byte* const to = books.address_of(run.first);
  if (run.frame == zero_frame) {
    std::memset(to, 0, books.bytes(run.count));
  } else {
    copy_bytes(to, frames.address(run.frame), books.bytes(run.count));
  }
}

/// The same where mappings are short, as writes that are handed over: past the protection, and all of them ready at
/// once.
class HandedOver {
 public:
  explicit HandedOver(ArenaBooks& books) noexcept : books_(books) {}

  os::Error add(const Run& run, const MappedFrames& frames) noexcept {
    if (!is_at_hand(run, frames)) return {};
    if (run.frame != zero_frame) {
      return batch_.push_back({books_.address_of(run.first), frames.address(run.frame), books_.bytes(run.count)});
    }
    if (const os::Error error = reserve_zeros()) return error;
    for (Page p = run.first; p < run.end(); ++p) {
      const Write zeros{books_.address_of(p), zeros_.data(), books_.bytes(1)};
      if (const os::Error error = batch_.push_back(zeros)) return error;
    }
    return {};
  }

  os::Error write() noexcept COW_SIGNALS_BLOCKED {
    FaultLockHeld held(*books_.fault_lock);
    return write_known(books_, batch_.span(), nullptr);
  }

 private:
  os::Error reserve_zeros() noexcept {
    if (zeros_.data() != nullptr) return {};
    os::Result<BookBuffer> zeros = BookBuffer::reserve(books_.bytes(1));
    if (zeros) zeros_ = std::move(zeros.value);
    return zeros.error;
  }

  ArenaBooks& books_;
  BookVector<Write> batch_;
  BookBuffer zeros_;
};

/// Neighbouring frames are neighbours in memory too, but for history's, whose alias is in segments.
bool in_one_piece(const Run& run, const Run& next) noexcept {
  return !History::owns(run.frame) && run.continues_in(next);
}

/// What a rollback leaves alone: what has been excluded meanwhile, and what is as it was.
bool stays(const Version& version, Page p) noexcept {
  if (version.books.is_excluded(p) && !mutant(Mutant::excluded_pages_roll_back)) return true;
  return is_unchanged(version, p);
}

/// Calls f(run) for the runs that a version's kept pages make, neighbours in pages and in frames, but for what stays.
template <class F>
os::Error for_each_kept_run(const Version& version, F&& f) COW_IN_OPERATION {
  const auto goes_on = [&](const Run& run, const KeptPage& kept) {
    return in_one_piece(run, {kept.page, 1, kept.frame}) && !stays(version, kept.page);
  };
  for (const KeptPage* kept = version.kept.begin(); kept != version.kept.end();) {
    Run run{kept->page, 1, kept->frame};
    ++kept;
    if (stays(version, run.first)) continue;
    for (; kept != version.kept.end() && goes_on(run, *kept); ++kept) ++run.count;
    if (const os::Error error = f(run)) return error;
  }
  return {};
}

std::uint64_t count_kept_runs(const Version& version) noexcept COW_IN_OPERATION {
  std::uint64_t runs = 0;
  Page last_end{0};
  for (const KeptPage& kept : version.kept) {
    if (kept.page != last_end || runs == 0) ++runs;
    last_end = kept.page + 1;
  }
  return runs;
}

os::Error make_kept_writable(ArenaBooks& books, const Version& version) noexcept COW_IN_OPERATION {
  for (const KeptPage* kept = version.kept.begin(); kept != version.kept.end();) {
    Pages run{kept->page, 1};
    ++kept;
    if (is_unchanged(version, run.first)) continue;
    const auto goes_on = [&] { return kept->page == run.end() && !is_unchanged(version, kept->page); };
    for (; kept != version.kept.end() && goes_on(); ++kept) ++run.count;
    if (const os::Error error = make_pages_writable(books, run)) return error;
  }
  return {};
}

/// Page by page where some have come along with others.
void copy_or_close(ArenaBooks& books, const Run& run, const MappedFrames& frames, LookingAtCameAlong& looking) noexcept
    COW_SIGNALS_BLOCKED {
  if (!is_at_hand(run, frames)) return;
  if (run.frame == zero_frame || !looking.wants({run.first, run.count})) return copy_content(books, run, frames);
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const Run page{run.first + i, 1, run.frame + i};
    if (!looking.is_as_it_was(page.first, frames.address(page.frame))) copy_content(books, page, frames);
  }
}

os::Error hand_over_kept(ArenaBooks& books, const Version& version, const MappedFrames& frames) noexcept
    COW_IN_OPERATION {
  HandedOver content(books);
  const os::Error error = for_each_kept_run(version, [&](const Run& run) { return content.add(run, frames); });
  return error ? error : content.write();
}

/// Under the kernel barrier the content so far goes to the frames, so that it can be rolled back to as well.
os::Error collect_first(ArenaBooks& books) noexcept COW_IN_OPERATION {
  if (!books.barrier->collects) return {};
  FaultLockHeld held(*books.fault_lock);
  return collect(books);
}

/// Undoes what was written since the last cut, where nothing of it has been collected: the frames still hold the
/// content from before, and show once the fronts are gone. In two steps, as all rolling back.
class Undoing {
 public:
  explicit Undoing(ArenaBooks& books) noexcept : books_(books), frames_(books.family.file) {}

  os::Error prepare() noexcept COW_FAULT_LOCKED {
    map_home_alias(books_);
    if (const os::Error error = open_all_half_protected(books_)) return error;
    if (const os::Error error = fronts::find_written(books_)) return error;
    if (const os::Error error = fronts::watch_all(books_)) return error;
    if (const os::Error error = fronts::list_fresh_with_memory(books_, fresh_)) return error;
    const PageSet& written = books_.fronts.uncollected;
    for (const Pages run : written.runs()) {
      if (const os::Error error = prepare_to_copy(run)) return error;
      pages_ += run.count;
    }
    return {};
  }

  std::uint64_t undo() noexcept COW_FAULT_LOCKED {
    for (const Pages& run : fresh_) {  // never in any version, nor prepared: see rule/take_in.hpp
      pages_ += run.count;
      if (!books_.family.file.punch(books_.home->frame_of(run.first), run.count)) continue;
      std::memset(books_.address_of(run.first), 0, books_.bytes(run.count));
    }
    const PageSet& written = books_.fronts.uncollected;
    for (const Pages run : written.runs()) {
      count(run);
      undo(run);
    }
    return pages_;
  }

 private:
  os::Error prepare_to_copy(Pages run) noexcept COW_FAULT_LOCKED {
    for (Page p = run.first; p < run.end(); ++p) {
      if (!reached_by_alias(books_, p)) {
        if (const os::Error error = frames_.add(books_.frame_of(p))) return error;
      }
      if (!books_.fronts.hidden.contains(p)) continue;
      if (const os::Error error = touch_to_write(books_, {p, 1})) return error;
    }
    return {};
  }

  void count(Pages run) noexcept COW_FAULT_LOCKED {
    Fronts& fronts = books_.fronts;
    ++fronts.runs_undone;
    fronts.pages_undone += run.count;
    const std::uint64_t before = fronts.undone.count();
    fronts.undone.insert(run);
    fronts.pages_undone_first += fronts.undone.count() - before;
  }

  void undo(Pages run) noexcept COW_FAULT_LOCKED {
    for (Page p = run.first; p < run.end();) {
      const Page stays = std::min({books_.fronts.hidden.next(p), books_.fronts.counted_on.next(p), run.end()});
      if (p < stays) drop(Pages{p, stays - p});
      if (stays < run.end()) copy(stays);
      p = stays + 1;
    }
  }

  void drop(Pages run) noexcept COW_FAULT_LOCKED {
    memory_sanitizer::has_content(books_.address_of(run.first), books_.bytes(run.count));
    if (!fronts::drop(books_, run)) return books_.fronts.uncollected.erase(run);
    for (Page p = run.first; p < run.end(); ++p) copy(p);
  }

  void copy(Page p) noexcept COW_FAULT_LOCKED {
    const std::byte* from = reached_by_alias(books_, p) ? alias_of(books_, p) : frames_.address(books_.frame_of(p));
    copy_bytes(books_.address_of(p), from, books_.bytes(1));
  }

  ArenaBooks& books_;
  MappedFrames frames_;
  BookVector<Pages> fresh_;
  std::uint64_t pages_ = 0;
};

/// Whether nothing has been collected since the version was taken.
bool frames_hold(ArenaBooks& books, const Version& version) noexcept COW_IN_OPERATION {
  FaultLockHeld held(*books.fault_lock);
  return &version == books.newest && version.epoch + 1 == books.epoch && !books.written;
}

bool has_no_own_pages(ArenaBooks& books) noexcept COW_IN_OPERATION {
  FaultLockHeld held(*books.fault_lock);
  return !books.written && books.own.count() == books.excluded.count();
}

os::Result<std::uint64_t> undo_uncollected(ArenaBooks& books) noexcept COW_IN_OPERATION {
  FaultLockHeld held(*books.fault_lock);
  Undoing undoing(books);
  if (const os::Error error = undoing.prepare()) return {0, error};
  const std::uint64_t pages = undoing.undo();
  change_after_undoing(books);
  return {pages, {}};
}

}  // namespace

bool is_base_of(const Version& version, const ArenaBooks& books) noexcept {
  return books.base_version != 0 && &version.books.family == &books.family && version.name == books.base_version;
}

os::Result<std::uint64_t> roll_back(ArenaBooks& books, Version& version, ExcludedThen& asked) noexcept {
  const Operation operation(books);
  if (!asked.look_again(books)) return {0, {}};
  if (books.barrier->collects && frames_hold(books, version)) return undo_uncollected(books);
  os::Error error = collect_first(books);
  if (!error) error = sweep_now(version);
  MappedFrames frames(books.family.file);
  const bool at_once = !error && can_be_opened_at_once(books, count_kept_runs(version));
  if (at_once) error = make_kept_writable(books, version);
  if (!error) error = for_each_kept_run(version, [&](const Run& run) { return frames.add(run.frame, run.count); });
  if (!error && !at_once) return {version.kept.size(), hand_over_kept(books, version, frames)};
  if (error) return {version.kept.size(), error};
  // What making them writable has just logged is in the newest version's log, not among the kept pages of an older one;
  // for the newest itself these are the very pages.
  LookingAtCameAlong looking(version);
  const auto bring_back = [&](const Run& run) COW_SIGNALS_BLOCKED {
    return copy_or_close(books, run, frames, looking), os::Error{};
  };
  (void)for_each_kept_run(version, bring_back);
  return {version.kept.size(), {}};
}

os::Result<std::uint64_t> roll_back_to_base(ArenaBooks& books, Version& base, ExcludedThen& asked) noexcept {
  {
    const Operation operation(books);
    if (!asked.look_again(books)) return {0, {}};
    if (books.barrier->collects && has_no_own_pages(books)) return undo_uncollected(books);
  }
  // The base's frames are held by a loan while the clone's lock is taken: never two arenas' locks at once.
  RunList content;
  os::Result<Loan*> loan;
  const os::AsyncSignalsBlocked blocked;
  os::Error error;
  {
    const Operation operation(base.books, blocked);
    loan = lend_version(base, base.books.pages);
    if (!loan) return {0, loan.error};
    error = content.copy(base.runs);
  }
  std::uint64_t pages = 0;
  if (!error) {
    const Operation operation(books, blocked);
    MappedFrames frames(books.family.file);
    BookVector<Pages> changed;
    if (asked.look_again(books)) error = collect_first(books);
    if (!error && asked.still) {
      FaultLockHeld held(*books.fault_lock);
      error = list_own_pages(books, changed);
    }
    const bool at_once = can_be_opened_at_once(books, changed.size());
    for (const Pages& run : changed) {
      pages += run.count;
      if (!error && at_once) error = make_pages_writable(books, run);
    }
    for (const Pages& run : changed) {
      for (Page p = run.first; p < run.end() && !error; ++p) error = frames.add(content.find(p));
    }
    HandedOver handed_over(books);
    for (const Pages& run : changed) {
      for (Page p = run.first; p < run.end() && !error; ++p) {
        const Run page{p, 1, content.find(p)};
        if (at_once) {
          copy_content(books, page, frames);
        } else {
          error = handed_over.add(page, frames);
        }
      }
    }
    if (!error && !at_once) error = handed_over.write();
  }
  give_back_loan(books.family, loan.value);
  return {pages, error};
}

bool roll_back_or_throw(ArenaBooks& books, Version& version, std::optional<std::uint64_t> excluded) {
  keep_handlers_for(books);
  throw_if(check_barrier(books), "rollback");
  const bool own = &version.books == &books;
  if (!own && !is_base_of(version, books)) {
    throw std::invalid_argument(std::string("cow: rollback of arena \"") + books.name +
                                "\" to a snapshot of another one; adopt() takes a version of its clones, and of "
                                "whatever else comes from it");
  }
  os::Result<std::uint64_t> pages;
  ExcludedThen asked{excluded};
  {
    const Cut cut(books, "rollback");
    pages = own ? roll_back(books, version, asked) : roll_back_to_base(books, version, asked);
  }
  throw_if(pages.error, [&] {
    return "rollback of " + counted(pages.value, "page") + " in an arena of " + in_bytes(books.bytes(books.pages));
  });
  return asked.still;
}

}  // namespace cow

// See arena/changed_between.hpp. The operation mutexes of two arenas are taken one after the other: what a version
// shows does not change between.
#include "arena/changed_between.hpp"

#include <algorithm>

#include "arena/current_version.hpp"
#include "arena/operation.hpp"
#include "arena/version_reader.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "books/versions.hpp"
#include "rule/copy_on_write.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

/// What was logged from the version on that an arena had at an epoch, or the one before it, up to another epoch. False:
/// that version is gone, or going, and there is none before it.
os::Result<bool> list_logged(ArenaBooks& books, Epoch from, Epoch to, BookVector<Page>& pages) noexcept {
  const Operation operation(books);
  auto at = books.versions.end();
  while (at != books.versions.begin() && (at == books.versions.end() || at->epoch > from)) --at;
  if (at == books.versions.end() || at->epoch > from || at->log_is_partial) return {false, {}};
  const LogEnd end = log_end_now(books);
  os::Error error;
  for (; at != books.versions.end() && at->epoch < to && !error; ++at) {
    at->log.for_each_between({}, &*at == end.newest ? end.mark : at->log.mark(), [&](const LogEntry& entry) {
      if (!error) error = pages.push_back(entry.page);
    });
  }
  return {true, error};
}

os::Error list_own_until(const ArenaBooks& books, Epoch epoch, BookVector<Page>& pages) noexcept COW_FAULT_LOCKED {
  os::Error error;
  const auto list = [&](Page first, Page end) {
    for (Page p = first; p < end && !error; ++p) {
      if (books.table.get(p).birth <= epoch) error = pages.push_back(p);  // else it is among the kept pages
    }
  };
  for_each_run_less(books.own, books.excluded, [&](Pages run) { list(run.first, run.end()); });
  // What is excluded reads as zero, as it may have from the start.
  for (const Pages run : books.excluded.runs()) {
    const RunList& base = books.borrower.base;
    for (const Run* at = base.from(run.first); at != base.end() && at->first < run.end(); ++at) {
      list(std::max(at->first, run.first), std::min(at->end(), run.end()));
    }
  }
  return error;
}

/// Of the pages kept for a version, those that do not show what its arena started with.
os::Error list_kept_of_its_own(const Version& version, BookVector<Page>& pages) noexcept COW_SIGNALS_BLOCKED {
  const ArenaBooks& books = version.books;
  for (const KeptPage& kept : version.kept) {
    bool as_at_the_start = false;
    {
      FaultLockHeld held(books.family.file.lock());
      as_at_the_start = books.borrower.shows(kept.page, kept.frame);
    }
    if (as_at_the_start) continue;
    if (const os::Error error = pages.push_back(kept.page)) return error;
  }
  return {};
}

/// What a clone's version has of the clone's own. The logs are swept under the fault lock, most of it before, so that
/// what they say and the pages' births belong together.
os::Error list_changed_since_start(Version& version, BookVector<Page>& pages) noexcept {
  ArenaBooks& books = version.books;
  const Operation operation(books);
  const LogEnd end = log_end_now(books);
  if (const os::Error error = sweep_logs(version, end)) return error;
  FaultLockHeld held(*books.fault_lock);
  if (const os::Error error = sweep_logs(version, log_end(books))) return error;
  const os::Error error = list_own_until(books, version.epoch, pages);
  return error ? error : list_kept_of_its_own(version, pages);
}

/// The runs of pages for which two lists have different frames.
class RunComparison {
 public:
  RunComparison(const RunList& a, const RunList& b, BookVector<Pages>& changed) noexcept
      : a_{a.begin(), a.end()}, b_{b.begin(), b.end()}, changed_(changed) {}

  os::Error run(std::uint64_t pages) noexcept {
    for (Page p{0}; p.value < pages;) {
      a_.pass(p), b_.pass(p);
      const Page end = std::min({a_.next_edge(p), b_.next_edge(p), Page{pages}});
      if (a_.frame_at(p) != b_.frame_at(p)) {
        if (const os::Error error = add({p, end - p})) return error;
      }
      p = end;
    }
    return {};
  }

 private:
  struct Side {
    const Run* at;
    const Run* end;

    void pass(Page p) noexcept {
      while (at != end && at->end() <= p) ++at;
    }
    bool covers(Page p) const noexcept { return at != end && at->first <= p; }
    Frame frame_at(Page p) const noexcept { return covers(p) ? at->frame_of(p) : zero_frame; }
    Page next_edge(Page p) const noexcept {
      if (at == end) return {~std::uint64_t{0}};
      return covers(p) ? at->end() : at->first;
    }
  };

  os::Error add(Pages run) noexcept {
    if (changed_.empty() || changed_.back().end() != run.first) return changed_.push_back(run);
    changed_.back().count += run.count;
    return {};
  }

  Side a_, b_;
  BookVector<Pages>& changed_;
};

os::Error compare_content(Version& a, Version& b, BookVector<Pages>& changed) noexcept {
  RunList content_of_a, content_of_b;
  os::Error error = list_content(a, content_of_a);
  if (!error) error = list_content(b, content_of_b);
  return error ? error : RunComparison(content_of_a, content_of_b, changed).run(a.books.pages);
}

os::Error as_runs(BookVector<Page>& pages, BookVector<Pages>& changed) noexcept {
  std::sort(pages.begin(), pages.end());
  for (const Page p : pages) {
    os::Error error;
    if (changed.empty() || changed.back().end() < p) {
      error = changed.push_back({p, 1});
    } else if (changed.back().end() == p) {
      ++changed.back().count;
    }
    if (error) return error;
  }
  return {};
}

/// Through the logs, if they tell.
os::Result<bool> list_written(Version& a, Version& b, BookVector<Page>& pages) noexcept {
  if (&a.books == &b.books) {
    return list_logged(a.books, std::min(a.epoch, b.epoch), std::max(a.epoch, b.epoch), pages);
  }
  const Line::Ancestor of_a = a.books.line.parent, of_b = b.books.line.parent;
  const bool siblings = of_a.arena != 0 && of_a.arena == of_b.arena && of_a.epoch == of_b.epoch;
  if (siblings) {
    const os::Error error = list_changed_since_start(a, pages);
    if (mutant(Mutant::difference_forgets_ours)) return {true, error};
    return {true, error ? error : list_changed_since_start(b, pages)};
  }
  if (of_a.arena == b.books.line.arena) return list_written(b, a, pages);
  if (of_b.arena != a.books.line.arena) return {false, {}};
  const Epoch base = of_b.epoch;
  if (base != a.epoch) {
    const os::Result<bool> logged = list_logged(a.books, std::min(a.epoch, base), std::max(a.epoch, base), pages);
    if (!logged || !logged.value) return logged;
  }
  return {true, list_changed_since_start(b, pages)};
}

os::Error add_pages(Pages run, BookVector<Page>& pages) noexcept {
  os::Error error;
  for (Page p = run.first; p < run.end() && !error; ++p) error = pages.push_back(p);
  return error;
}

/// What no log tells yet, since no write was caught. The pages are known to be written from here on.
os::Error list_uncollected(ArenaBooks& books, BookVector<Page>& pages, std::uint64_t& collections) noexcept {
  const Operation operation(books);
  FaultLockHeld held(*books.fault_lock);
  if (const os::Error error = books.barrier->check(books)) return error;
  collections = books.fronts.collections;
  if (!books.barrier->collects) return {};
  if (const os::Error error = open_all_half_protected(books)) return error;
  if (const os::Error error = fronts::find_written(books)) return error;
  if (const os::Error error = fronts::watch_all(books)) return error;
  BookVector<Pages> fresh;
  os::Error error = fronts::list_fresh_with_memory(books, fresh);
  for (const Pages& run : fresh) error = error ? error : add_pages(run, pages);
  for (const Pages run : books.fronts.uncollected.runs()) error = error ? error : add_pages(run, pages);
  return error;
}

constexpr Epoch now_or_later{~std::uint64_t{0}};

/// False: the logs do not tell.
os::Result<bool> list_without_a_cut(ArenaBooks& now, Version& version, BookVector<Pages>& changed,
                                    std::uint64_t& collections) noexcept {
  const bool of_itself = &version.books == &now, of_a_clone = version.books.line.parent.arena == now.line.arena;
  if (!of_itself && !of_a_clone) return {false, {}};
  const Epoch common = of_itself ? version.epoch : version.books.line.parent.epoch;
  BookVector<Page> pages;
  os::Error error = list_uncollected(now, pages, collections);
  if (error) return {false, error};
  const os::Result<bool> logged = list_logged(now, common, now_or_later, pages);
  if (!logged || !logged.value) return logged;
  if (!error && of_a_clone) error = list_changed_since_start(version, pages);
  return {true, error ? error : as_runs(pages, changed)};
}

}  // namespace

os::Error list_changed_until_now(ArenaBooks& books, Version& version, BookVector<Pages>& changed,
                                 AskedNow& asked) noexcept {
  changed.shrink_to(0);
  if (!asked.by_cut) {
    const os::Result<bool> listed = list_without_a_cut(books, version, changed, asked.collections);
    if (!listed || listed.value) return listed.error;
  }
  asked.by_cut = true;
  const CurrentVersion now(books);
  return now.error() ? now.error() : list_changed_between(now.version(), version, changed);
}

os::Error list_changed_between(Version& a, Version& b, BookVector<Pages>& changed) noexcept {
  if (&a == &b) return {};
  BookVector<Page> pages;
  const os::Result<bool> written = list_written(a, b, pages);
  if (!written) return written.error;
  return written.value ? as_runs(pages, changed) : compare_content(a, b, changed);
}

}  // namespace cow

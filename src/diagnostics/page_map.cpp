// Works out who shows the pages of an arena. Takes the locks of one arena at a time.
#include "cow/page_map.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "faults/registry.hpp"

namespace cow {
namespace {

/// Pages in neighbouring frames of the arena's own, or of others.
struct ShownRun {
  Run run;
  PageState state;
  std::uint64_t oldest_snapshot;  // 0: none
};

/// Who else shows a run: a clone, by its number, or clones that are gone.
struct OtherRun {
  Pages pages;
  std::uint64_t clone;
};
constexpr std::uint64_t gone_clones = ~std::uint64_t{0};

/// What is learned under the locks; memory for it does not come from where an arena may be.
class Survey {
 public:
  explicit Survey(ArenaBooks& books) noexcept : books_(books) {}

  /// The arena's own books.
  os::Error read_arena() noexcept {
    const Operation operation(books_);
    snapshots_ = books_.versions.size();
    os::Error error = list_written();
    if (!error && books_.barrier->collects) error = list_fresh();
    if (!error) error = list_borrowed();
    return error;
  }

  /// Those of its clones, one after the other.
  os::Error read_clones() noexcept {
    if (books_.lender.lent_epoch.load(std::memory_order_relaxed) == 0) return {};
    fault_registry::for_each_arena([](ArenaBooks& other, void* self) COW_FAULT_LOCKED {
      static_cast<Survey*>(self)->read_clone(other);
    },
                                   this);
    if (!error_) list_gone_clones();
    return error_;
  }

  std::size_t snapshots() const noexcept { return snapshots_; }
  const BookVector<ShownRun>& shown() const noexcept { return shown_; }
  const BookVector<OtherRun>& others() const noexcept { return others_; }
  const BookVector<const std::byte*>& clones() const noexcept { return clones_; }

 private:
  static constexpr std::uint64_t pages_at_once = 4096;  // under one hold of the lock: faults wait for it

  os::Error append(Page page, PageState state, Frame frame, std::uint64_t oldest_snapshot) noexcept {
    const Run one{page, 1, frame};
    if (!shown_.empty()) {
      ShownRun& last = shown_.back();
      if (last.state == state && last.oldest_snapshot == oldest_snapshot && last.run.continues_in(one)) {
        ++last.run.count;
        return {};
      }
    }
    return shown_.push_back({one, state, oldest_snapshot});
  }

  /// The oldest version that shows a page of this birth. The operation mutex is held: the chain stands still.
  std::uint64_t oldest_showing(Epoch birth) const noexcept COW_IN_OPERATION {
    std::uint64_t number = 1;
    for (const Version& version : books_.versions) {
      if (birth <= version.epoch) return number;
      ++number;
    }
    return 0;
  }

  os::Error list_written() noexcept COW_IN_OPERATION {
    for (Page at{0}; at < Page{books_.pages};) {
      FaultLockHeld held(*books_.fault_lock);
      const Pages run = books_.own.next_run(at);
      if (run.count == 0) return {};
      const Page end = std::min(run.end(), run.first + pages_at_once);
      for (Page p = run.first; p < end; ++p) {
        if (books_.is_excluded(p)) {
          if (const os::Error error = append(p, PageState::excluded, books_.home->frame_of(p), 0)) return error;
          continue;
        }
        if (books_.blank.contains(p)) continue;
        const std::uint64_t oldest = oldest_showing_cached(books_.table.get(p).birth);
        const PageState state = oldest == 0 ? PageState::private_page : PageState::shared;
        if (const os::Error error = append(p, state, books_.frame_of(p), oldest)) return error;
      }
      at = end;
    }
    return {};
  }

  /// Under the kernel barrier: what was written since the last cut, and is in no book yet. In order with the others.
  os::Error list_fresh() noexcept COW_IN_OPERATION {
    FaultLockHeld held(*books_.fault_lock);
    BookVector<Pages> written;
    if (const os::Error error = fronts::list_written(books_, written)) return error;
    for (const Pages& run : written) {
      for (Page p = run.first; p < run.end(); ++p) {
        if (books_.birth_of(p) != never_written && !books_.blank.contains(p)) continue;
        if (const os::Error error = append(p, PageState::private_page, books_.home->frame_of(p), 0)) return error;
      }
    }
    std::sort(shown_.begin(), shown_.end(),
              [](const ShownRun& a, const ShownRun& b) { return a.run.first < b.run.first; });
    return {};
  }

  /// Neighbours were mostly written in the same epoch, and there may be thousands of versions.
  std::uint64_t oldest_showing_cached(Epoch birth) noexcept COW_IN_OPERATION {
    if (birth != cached_birth_) cached_birth_ = birth, cached_oldest_ = oldest_showing(birth);
    return cached_oldest_;
  }

  os::Error list_borrowed() noexcept {
    for (const Run& run : books_.borrower.base) {
      for (Page at = run.first; at < run.end();) {
        FaultLockHeld held(*books_.fault_lock);
        const Page begin = books_.own.next_absent(at, run.end());
        const Page end = std::min(books_.own.next(begin), run.end());
        if (begin < end) {
          const ShownRun borrowed{{begin, end - begin, run.frame_of(begin)}, PageState::borrowed, 0};
          if (const os::Error error = shown_.push_back(borrowed)) return error;
        }
        at = end;
      }
    }
    return {};
  }

  /// Shows frames of the arena's own.
  static bool is_written(const ShownRun& shown) noexcept {
    return shown.state != PageState::borrowed && shown.state != PageState::excluded;
  }

  void read_clone(ArenaBooks& other) noexcept COW_FAULT_LOCKED {
    if (&other == &books_ || &other.family != &books_.family || other.borrower.base.empty() || error_) return;
    const std::size_t before = others_.size();
    {
      FaultLockHeld held(books_.family.file.lock());
      for (const ShownRun& shown : shown_) {
        if (is_written(shown) && !error_) add_common(shown.run, other.borrower);
      }
    }
    if (others_.size() != before && !error_) error_ = clones_.push_back(other.base);
  }

  /// The pages of a run that the clone shows in the same frames.
  void add_common(const Run& run, const Borrower& clone) noexcept COW_FILE_LOCKED {
    for (const Run* base = clone.base.from(run.first); base != clone.base.end() && base->first < run.end(); ++base) {
      const Page begin = std::max(run.first, base->first), end = std::min(run.end(), base->end());
      if (run.frame_of(begin) != base->frame_of(begin)) continue;
      for (Page at = clone.ended.next_absent(begin, end); at < end && !error_;) {
        const Page stop = std::min(clone.ended.next(at), end);
        error_ = others_.push_back({{at, stop - at}, clones_.size()});
        at = clone.ended.next_absent(stop, end);
      }
    }
  }

  /// Where the number of known clones that show a page changes.
  struct Step {
    Page page;
    std::int64_t more;
  };

  os::Error list_steps(BookVector<Step>& steps) const noexcept {
    if (const os::Error error = steps.make_room(2 * others_.size())) return error;
    for (const OtherRun& other : others_) {
      steps.append({other.pages.first, 1});
      steps.append({other.pages.end(), -1});
    }
    std::sort(steps.begin(), steps.end(), [](const Step& one, const Step& two) { return one.page < two.page; });
    return {};
  }

  /// Pages that more borrowers show than there are clones known.
  void list_gone_clones() noexcept {
    BookVector<Step> steps;
    error_ = list_steps(steps);
    const Step* step = steps.begin();
    std::int64_t known = 0;
    for (const ShownRun& shown : shown_) {
      if (shown.state == PageState::borrowed) return;  // they come last
      if (!is_written(shown)) continue;
      for (Page p = shown.run.first; p < shown.run.end() && !error_; ++p) {
        for (; step != steps.end() && step->page <= p; ++step) known += step->more;
        const FaultLockGuard guard(books_.family.file.lock());
        if (books_.family.lending.borrowers_of(shown.run.frame_of(p)) > known) add_gone(p);
      }
    }
  }

  void add_gone(Page p) noexcept {
    if (!others_.empty() && others_.back().clone == gone_clones && others_.back().pages.end() == p) {
      ++others_.back().pages.count;
    } else {
      error_ = others_.push_back({{p, 1}, gone_clones});
    }
  }

  ArenaBooks& books_;
  std::size_t snapshots_ = 0;
  BookVector<ShownRun> shown_;
  BookVector<OtherRun> others_;
  BookVector<const std::byte*> clones_;
  Epoch cached_birth_ = never_written;
  std::uint64_t cached_oldest_ = 0;
  os::Error error_;
};

/// Joins what was learned into groups and runs, from the first page to the last.
class Join {
 public:
  Join(const Survey& survey, PageMap& map) : survey_(survey), map_(map) {
    for (const ShownRun& shown : survey.shown()) {
      bounds_.push_back(shown.run.first.value), bounds_.push_back(shown.run.end().value);
      shown_at_.emplace(shown.run.first.value, &shown);
    }
    for (const OtherRun& other : survey.others()) {
      bounds_.push_back(other.pages.first.value), bounds_.push_back(other.pages.end().value);
      changes_.emplace(other.pages.first.value, Change{other.clone, true});
      changes_.emplace(other.pages.end().value, Change{other.clone, false});
    }
    bounds_.push_back(0), bounds_.push_back(map.pages);
    std::sort(bounds_.begin(), bounds_.end());
    bounds_.erase(std::unique(bounds_.begin(), bounds_.end()), bounds_.end());
  }

  void join() {
    auto change = changes_.begin();
    const ShownRun* shown = nullptr;
    for (std::size_t i = 0; i + 1 < bounds_.size(); ++i) {
      for (; change != changes_.end() && change->first == bounds_[i]; ++change) {
        showing_[change->second.clone] += change->second.begins ? 1 : -1;
      }
      if (const auto starts = shown_at_.find(bounds_[i]); starts != shown_at_.end()) shown = starts->second;
      if (shown != nullptr && shown->run.end().value <= bounds_[i]) shown = nullptr;
      add({bounds_[i], bounds_[i + 1] - bounds_[i]}, group_of(shown));
    }
  }

 private:
  struct Change {
    std::uint64_t clone;
    bool begins;
  };

  PageGroup group_of(const ShownRun* shown) const {
    PageGroup group;
    if (shown == nullptr) return group;
    group.state = shown->state;
    group.oldest_snapshot = shown->oldest_snapshot;
    if (group.state == PageState::borrowed || group.state == PageState::excluded) return group;
    for (const auto& [clone, times] : showing_) {
      if (times == 0) continue;
      group.state = PageState::shared;
      if (clone == gone_clones) {
        group.gone_clones = true;
      } else {
        group.clones.push_back(survey_.clones()[clone]);
      }
    }
    return group;
  }

  std::size_t number_of(const PageGroup& group) {
    const auto same = std::find_if(map_.groups.begin(), map_.groups.end(), [&](const PageGroup& known) {
      return known.state == group.state && known.oldest_snapshot == group.oldest_snapshot &&
             known.gone_clones == group.gone_clones && known.clones == group.clones;
    });
    if (same != map_.groups.end()) return static_cast<std::size_t>(same - map_.groups.begin());
    map_.groups.push_back(group);
    return map_.groups.size() - 1;
  }

  void add(PageRange pages, const PageGroup& group) {
    const std::size_t number = number_of(group);
    map_.groups[number].pages += pages.count;
    if (!map_.runs.empty() && map_.runs.back().group == number) {
      map_.runs.back().pages.count += pages.count;
    } else {
      map_.runs.push_back({pages, number});
    }
  }

  const Survey& survey_;
  PageMap& map_;
  std::vector<std::uint64_t> bounds_;
  std::unordered_map<std::uint64_t, const ShownRun*> shown_at_;
  std::multimap<std::uint64_t, Change> changes_;
  std::map<std::uint64_t, int> showing_;
};

}  // namespace

std::uint64_t PageMap::pages_in(PageState state) const noexcept {
  std::uint64_t sum = 0;
  for (const PageGroup& group : groups) sum += group.state == state ? group.pages : 0;
  return sum;
}

PageMap map_pages(const Arena& arena) {
  ArenaBooks& books = usable(Access::books(arena), "map_pages");
  Survey survey(books);
  os::Error error = survey.read_arena();
  if (!error) error = survey.read_clones();
  throw_if(error, "listing the pages of an arena");
  PageMap map;
  map.arena = books.name;
  map.page_bytes = page_size();
  map.pages = books.pages;
  map.snapshots = survey.snapshots();
  Join(survey, map).join();
  return map;
}

}  // namespace cow

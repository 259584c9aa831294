// See rule/take_in.hpp.
#include "rule/take_in.hpp"

#include <algorithm>

#include "barrier/fronts.hpp"

namespace cow {
namespace {

/// Once there are versions, or a base: then what is prepared is private at once.
bool prepares_privately(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  return books.epoch != first_epoch || books.base_version != 0;
}

/// Calls f(part) for the parts of a run that are fresh, until one fails.
template <class F>
os::Error for_each_fresh(const ArenaBooks& books, Pages run, F&& f) noexcept COW_FAULT_LOCKED {
  const PageSet& taken = books.fronts.taken;
  for (Page p = run.first;;) {
    const Page end = std::min({taken.next(p), books.excluded.next(p), run.end()});
    if (p < end) {
      if (const os::Error error = f(Pages{p, end - p})) return error;
    }
    if (end == run.end()) return {};
    p = taken.contains(end) ? taken.next_absent(end, run.end()) : books.excluded.next_absent(end, run.end());
    if (p == run.end()) return {};
  }
}

/// Beside writers: what they have stored is in frames of pages that no book names. It counts as written since the last
/// cut, as does all that is not known to be untouched.
os::Error take_in_beside_writers(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  Pages taken{run.first, 0};
  const os::Error error = fronts::take_in(books, run, &taken);
  if (taken.count == 0) return error;
  books.written = true;  // the frames do not tell what the last cut found
  books.fronts.uncollected.insert(taken);
  for (Page p = taken.first; p < taken.end() && !error;) {
    const os::Result<Pages> next = fronts::next_with_memory(books, {p, taken.end() - p});
    if (!next) return next.error;
    books.fronts.uncollected.erase({p, next.value.first - p});
    p = next.value.end();
  }
  return error;
}

}  // namespace

os::Error take_in_ahead(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED {
  if (!prepares_privately(books)) return {};
  return for_each_fresh(books, run, [&](Pages part) COW_FAULT_LOCKED { return take_in_beside_writers(books, part); });
}

os::Error take_in_prepared(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  if (prepares_privately(books)) return {};
  for (const Pages run : books.fronts.counted_on.runs()) {
    const os::Error error = for_each_fresh(books, run, [&](Pages part) COW_FAULT_LOCKED {
      return fronts::take_in(books, part);
    });
    if (error) return error;
  }
  return {};
}

}  // namespace cow

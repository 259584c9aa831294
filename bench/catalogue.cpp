// The table of competitors.
#include "catalogue.hpp"

#include <algorithm>
#include <vector>

#include "books_trial.hpp"
#include "competitors/cow_arena.hpp"
#include "competitors/eager_copy.hpp"
#include "competitors/fork_huge_pages.hpp"
#include "competitors/fork_small_pages.hpp"
#include "competitors/map_cow.hpp"
#include "competitors/map_cow_calls.hpp"
#include "competitors/map_deep_copy.hpp"
#include "competitors/map_fork.hpp"
#include "competitors/map_lmdb.hpp"
#include "competitors/private_mapping.hpp"
#include "competitors/raw_userfaultfd.hpp"
#include "competitors/restore_copy.hpp"
#include "competitors/restore_cow.hpp"
#include "competitors/restore_fork.hpp"
#include "competitors/restore_private.hpp"
#include "competitors/textbook_remap.hpp"
#include "cycle_trial.hpp"
#include "fault_pieces.hpp"
#include "map_trial.hpp"
#include "rollback_trial.hpp"
#include "what_if_trial.hpp"

namespace bench {
namespace {

using cow::Barrier;
using Maker = std::unique_ptr<Trial> (*)(const Setting&, std::uint64_t seed);

struct Entry {
  Experiment experiment;
  std::string_view label;
  double memory;
  Maker make;
};

template <class T>
std::unique_ptr<Trial> make(const Setting& setting, std::uint64_t seed) {
  return std::make_unique<T>(setting, seed);
}

template <class C>
Entry cycle(double memory) {
  return {Experiment::cycle, C::label, memory, make<CycleTrial<C>>};
}

template <class R>
Entry rollback(double memory) {
  return {Experiment::rollback, R::label, memory, make<RollbackTrial<R>>};
}

template <class C>
Entry what_if(double memory) {
  return {Experiment::what_if, C::label, memory, make<WhatIfTrial<C>>};
}

template <class M>
Entry map(double memory) {
  return {Experiment::map, M::label, memory, make<MapTrial<M>>};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> table = {
      cycle<ForkSmallPages>(1),
      cycle<ForkHugePages>(1),
      cycle<EagerCopy>(2),
      cycle<PrivateMapping>(2),  // while it is filled
      cycle<TextbookRemap>(1),
      cycle<RawUserfaultfd>(1),
      cycle<CowSnapshots<Barrier::mprotect>>(1),
      cycle<CowSnapshots<Barrier::userfaultfd>>(1),
      cycle<CowSnapshots<Barrier::kernel>>(2),  // fronts
      cycle<CowSnapshots<Barrier::automatic>>(2),
      cycle<CowQuietCuts>(2),
      cycle<CowKnownWrites>(1),
      cycle<CowClones<Barrier::mprotect>>(1),
      cycle<CowClones<Barrier::userfaultfd>>(1),
      cycle<CowClones<Barrier::kernel>>(2),
      cycle<CowClones<Barrier::automatic>>(2),
      cycle<CowKnownClones>(1),
      cycle<CowViews<Barrier::mprotect>>(1),
      cycle<CowViews<Barrier::userfaultfd>>(1),
      cycle<CowViews<Barrier::kernel>>(2),
      cycle<CowViews<Barrier::automatic>>(2),
      what_if<WhatIfFork>(2),
      what_if<WhatIfClones<Barrier::mprotect>>(2),
      what_if<WhatIfClones<Barrier::userfaultfd>>(2),
      what_if<WhatIfClones<Barrier::kernel>>(2),
      what_if<WhatIfClones<Barrier::automatic>>(2),
      what_if<WhatIfViews<Barrier::mprotect>>(2),
      what_if<WhatIfViews<Barrier::userfaultfd>>(2),
      what_if<WhatIfViews<Barrier::kernel>>(2),
      what_if<WhatIfViews<Barrier::automatic>>(2),
      rollback<RestoreByCopy>(2),
      rollback<RestorePrivate>(2),
      rollback<RestoreFork>(1),
      rollback<RestoreCow<Barrier::mprotect>>(1),
      rollback<RestoreCow<Barrier::userfaultfd>>(1),
      rollback<RestoreCow<Barrier::kernel>>(2),
      rollback<RestoreCow<Barrier::automatic>>(2),
      map<MapFork>(2),
      map<MapDeepCopy>(3),
#ifdef COW_BENCH_WITH_LMDB
      map<MapLmdb>(2),
#endif
#ifdef COW_BENCH_WITH_HEAP
      map<MapCow<Barrier::mprotect>>(2),
      map<MapCow<Barrier::userfaultfd>>(2),
      map<MapCow<Barrier::kernel>>(2),
      map<MapCow<Barrier::automatic>>(2),
      map<MapCowCalls>(2),
#endif
      {Experiment::books, name::cow, 2, make<BooksTrial<Barrier::mprotect>>},
      {Experiment::books, name::cow_userfaultfd, 2, make<BooksTrial<Barrier::userfaultfd>>},
  };
  return table;
}

const Entry* find(std::string_view competitor, const Setting& setting) {
  const auto& table = entries();
  const auto found = std::find_if(table.begin(), table.end(), [&](const Entry& entry) {
    return entry.experiment == setting.experiment && entry.label == competitor;
  });
  return found == table.end() ? nullptr : &*found;
}

/// Before-images of all snapshots alive, which fork's children share out of the parent's copies just so.
double before_images(const Setting& setting) {
  if (setting.experiment != Experiment::cycle && setting.experiment != Experiment::what_if) return 0;
  return static_cast<double>(setting.alive + 1) * static_cast<double>(setting.writes * cow::page_size());
}

}  // namespace

bool in_catalogue(std::string_view competitor, const Setting& setting) {
  return setting.experiment == Experiment::fault_pieces || find(competitor, setting) != nullptr;
}

double memory_factor(std::string_view competitor, const Setting& setting) {
  const Entry* entry = find(competitor, setting);
  return (entry == nullptr ? 1 : entry->memory) + before_images(setting) / static_cast<double>(setting.bytes);
}

std::unique_ptr<Trial> make_trial(std::string_view competitor, const Setting& setting, std::uint64_t seed) {
  if (setting.experiment == Experiment::fault_pieces) return make_fault_piece(competitor, setting, seed);
  const Entry* entry = find(competitor, setting);
  if (entry == nullptr) throw NotAvailable("not in this build");
  return entry->make(setting, seed);
}

}  // namespace bench

// cow::merge(): what must hold, what each side has changed, the plan, and one batch of known writes.
#include "cow/merge.hpp"

#include <bit>
#include <optional>
#include <stdexcept>
#include <string>

#include "arena/changed_between.hpp"
#include "arena/exclude.hpp"
#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "arena/version_content.hpp"
#include "barrier/barrier.hpp"
#include "kernel/fork_gate.hpp"
#include "merge/plan.hpp"
#include "merge/regions.hpp"
#include "rule/known_writes.hpp"

namespace cow {
namespace {

void check_options(const MergeOptions& options) {
  if (!std::has_single_bit(options.granule) || options.granule > largest_granule) {
    throw std::invalid_argument("cow: merge: a granule is 1, 2, 4, 8, 16, 32 or 64 bytes, not " +
                                std::to_string(options.granule));
  }
  if (options.on_conflict > OnConflict::take_theirs) {
    throw std::invalid_argument("cow: merge: there is no such answer to conflicts");
  }
}

/// Whether a version is one that an arena comes from, up to an epoch of its own.
bool comes_from(const ArenaBooks& books, Epoch epoch, const Version& base) noexcept {
  if (&base.books == &books) return base.epoch <= epoch;
  const Line::Ancestor ancestor = books.line.find(base.books.line.arena);
  return ancestor.arena != 0 && base.epoch <= ancestor.epoch;
}

constexpr Epoch now_or_later{~std::uint64_t{0}};

void check_ancestry(const ArenaBooks& into, const Version& base, const Version& theirs) {
  const bool family = &base.books.family == &into.family && &theirs.books.family == &into.family;
  if (family && comes_from(into, now_or_later, base) && comes_from(theirs.books, theirs.epoch, base)) return;
  throw std::invalid_argument(std::string("cow: merge into arena \"") + into.name +
                              "\": the base is no version that both sides come from; " +
                              (family ? "take the one that the clone was made of" : "they are of different families"));
}

/// Why the heap that would come of it could not be used, or null. `blocks_there`: theirs has what the arena excludes in
/// blocks in use.
const char* why_not_heap(const MergePlan& plan, bool blocks_there) noexcept {
  if (plan.heaps_collide()) {
    return "both sides have changed the books of the heap in it, by allocating or freeing, and two versions of those "
           "cannot be put together; let one side allocate, or cover them by a region";
  }
  if (!plan.takes_heap_books() || blocks_there) return nullptr;
  return "theirs has freed, or never had, the block in which the arena excludes pages, and its heap would give them "
         "out; make the clone once they are excluded";
}

/// What the arena excludes, and whether theirs has that in blocks in use.
struct ExcludedBlocks {
  std::uint64_t pages;
  bool there;
  bool still = true;  // it excluded no others by the time of the write
};

/// Not where another thread took a snapshot meanwhile, or excluded pages.
os::Error write_plan(ArenaBooks& into, const MergePlan& plan, const AskedNow& asked, ExcludedBlocks& blocks,
                     bool& written) noexcept {
  const WriterLockGuard guard(*into.fault_lock);
  blocks.still = excludes_as_many(into, blocks.pages);
  written = asked.still(into);
  if (!blocks.still || !written) return {};
  if (plan.refused() || why_not_heap(plan, blocks.there) != nullptr || plan.writes().empty()) return {};
  return write_known_pages(into, plan.writes(), plan.near());
}

/// All that is done with the arena's hook held: allocates by the books only.
os::Error plan_and_write(ArenaBooks& into, VersionContent& base_content, VersionContent& theirs_content,
                         SidesChanged& changed, MergePlan& plan, Version& base, Version& theirs,
                         ExcludedBlocks& blocks) {
  const Cut cut(into, "merge");
  AskedNow asked;
  for (bool written = false;; asked.by_cut = true) {
    changed.theirs.shrink_to(0);
    os::Error error = list_changed_until_now(into, base, changed.ours, asked);
    if (!error) error = list_changed_between(base, theirs, changed.theirs);
    if (!error) error = base_content.open(into, asked.by_cut);
    if (!error) error = theirs_content.open(into, asked.by_cut);
    if (!error) error = plan.work_out(changed);
    if (!error) error = write_plan(into, plan, asked, blocks, written);
    if (error || written || !blocks.still) return error;
  }
}

MergeReport report_of(const MergePlan& plan) {
  MergeReport report;
  report.conflicts.assign(plan.conflicts().begin(), plan.conflicts().end());
  if (plan.refused()) return report;
  report.pages_taken = plan.pages_taken;
  report.pages_merged = plan.pages_merged;
  report.bytes_changed = plan.bytes_changed;
  return report;
}

/// None: another thread has excluded pages meanwhile, and nothing has changed.
std::optional<MergeReport> try_to_merge(ArenaBooks& books, const Snapshot& base, const Snapshot& theirs,
                                        const MergeOptions& options, const Regions& regions) {
  const std::uint64_t excluded = count_excluded(books);
  ExcludedBlocks blocks{excluded, has_excluded_blocks(books, theirs)};
  Version &base_version = *Access::version(base), &their_version = *Access::version(theirs);
  VersionContent base_content(base_version), theirs_content(their_version);
  SidesChanged changed;
  MergePlan plan(books, base_content, theirs_content, options, regions);
  const os::Error error =
      plan_and_write(books, base_content, theirs_content, changed, plan, base_version, their_version, blocks);
  throw_if(error, [&] {
    return "merge of " + counted(changed.theirs.size(), "run") + " of pages into an arena of " +
           in_bytes(books.bytes(books.pages));
  });
  if (!blocks.still) return {};
  if (const char* const why = why_not_heap(plan, blocks.there)) {
    throw std::logic_error(std::string("cow: merge into arena \"") + books.name + "\": " + why);
  }
  return report_of(plan);
}

}  // namespace

MergeReport merge(Arena& into, const Snapshot& base, const Snapshot& theirs, const MergeOptions& options) {
  ArenaBooks& books = usable(Access::books(into), "merge");
  const Version& base_version = usable(Access::version(base), "merge");
  const Version& their_version = usable(Access::version(theirs), "merge");
  throw_if(check_barrier(books), "merge");
  check_options(options);
  check_ancestry(books, base_version, their_version);
  const Regions regions(options.regions, into.capacity());
  for (;;) {
    if (const std::optional<MergeReport> report = try_to_merge(books, base, theirs, options, regions)) return *report;
  }
}

}  // namespace cow

// Operations between relatives: what differs, what is adopted, merged, or taken back.
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "model/world.hpp"
#include "support/merged_by_hand.hpp"

namespace cow::model {

void World::ask_what_differs() {
  const HeldSnapshot* const a = any_snapshot();
  if (a == nullptr) return take_snapshot();
  const HeldSnapshot& b = *any_snapshot();
  const std::size_t granule = std::size_t{1} << choice_.below(13);
  trace_.line(name(*a), ": what differs from ", name(b), " in granules of ", granule);
  const bool relatives = a->mirror->family == b.mirror->family;
  try {
    check_between(*a, b);
    check_differences(*a, b, granule);
    require(relatives, "versions of two families were compared");
  } catch (const std::invalid_argument&) {
    require(!relatives, "relatives were refused by changed_between");
  }
}

const HeldSnapshot* World::any_relative(std::uint64_t family) {
  std::vector<const HeldSnapshot*> able;
  for (const HeldSnapshot& each : snapshots_)
    if (each.mirror->family == family) able.push_back(&each);
  return able.empty() || choice_.chance(5) ? any_snapshot() : able[choice_.below(able.size())];
}

void World::adopt_version() {
  HeldArena& arena = any_arena();
  const HeldSnapshot* const snapshot = any_relative(arena.family);
  if (snapshot == nullptr) return take_snapshot();
  const bool relatives = snapshot->mirror->family == arena.family;
  trace_.line(name(arena), ": adopts ", name(*snapshot), relatives ? "" : ", which is foreign");
  begin_to_write(arena);
  try {
    if (!succeeds([&] { arena.arena.adopt(snapshot->handle); })) return check_arena(arena);
    require(relatives, "a foreign version was adopted");
    arena.content = patched(taken_over(arena, snapshot->mirror->content), snapshot->mirror->excluded, &arena.content);
  } catch (const std::invalid_argument&) {
    require(!relatives, "a relative's version was refused by adopt");
  }
  check_arena(arena);
}

MergeOptions World::any_merge_options(std::size_t capacity) {
  MergeOptions options;
  options.granule = std::size_t{1} << choice_.below(7);
  options.on_conflict = static_cast<OnConflict>(choice_.below(3));
  for (std::size_t count = choice_.below(4); count > 0; --count) {
    const std::size_t offset = 8 * choice_.below(capacity / 8);
    const std::size_t bytes = std::min(8 * choice_.below(2000), capacity - offset);
    const auto rule = static_cast<MergeRule>(choice_.below(8));
    // Which of two NaNs a sum gives is the compiler's choice.
    options.regions.push_back({offset, bytes, rule == MergeRule::sum_f64 ? MergeRule::sum_i64 : rule});
  }
  return options;
}

void World::merge_versions() {
  HeldArena& arena = any_arena();
  std::vector<std::pair<const HeldSnapshot*, const HeldSnapshot*>> able;
  constexpr std::uint64_t now = ~std::uint64_t{0};
  const auto relation = [&](const HeldSnapshot& base, const HeldSnapshot& theirs) {
    const MirrorVersion &from = *base.mirror, &to = *theirs.mirror;
    const Related ours = comes_from(arena.id, arena.base, now, from);
    const Related their = comes_from(to.owner, to.came_of, to.order, from);
    if (ours == Related::no || their == Related::no) return Related::no;
    return ours == Related::perhaps || their == Related::perhaps ? Related::perhaps : Related::yes;
  };
  for (const HeldSnapshot& base : snapshots_)
    for (const HeldSnapshot& theirs : snapshots_)
      if (base.mirror != theirs.mirror && relation(base, theirs) == Related::yes) able.emplace_back(&base, &theirs);
  if (snapshots_.empty()) return take_snapshot();
  const bool any = able.empty() || choice_.chance(5);
  const HeldSnapshot *base = any_relative(arena.family), *theirs = any_relative(arena.family);
  if (!any) std::tie(base, theirs) = able[choice_.below(able.size())];
  const Related related = relation(*base, *theirs);
  const MergeOptions options = any_merge_options(arena.content.size());
  trace_.line(name(arena), ": merges ", name(*theirs), " since ", name(*base), " in granules of ", options.granule,
              " with ", options.regions.size(), " regions", related == Related::no ? ", which is no ancestor" : "");
  begin_to_write(arena);
  MergeReport report;
  try {
    const bool done = succeeds([&] { report = merge(arena.arena, base->handle, theirs->handle, options); });
    if (!done) return check_arena(arena);
    require(related != Related::no, "a base that is no ancestor was taken");
  } catch (const std::invalid_argument&) {
    require(related != Related::yes, "a merge was refused");
    return check_arena(arena);
  }
  // What either side excludes is as if nobody had changed it.
  const auto left_alone = [&](const Bytes& side) {
    return patched(taken_over(arena, side), theirs->mirror->excluded, &arena.content);
  };
  const test::MergedByHand expected = test::merged_by_hand(arena.content, left_alone(base->mirror->content),
                                                           left_alone(theirs->mirror->content), options);
  require(report.conflicts == expected.conflicts, "a merge has other conflicts");
  arena.content = expected.content;
  check_arena(arena);
}

void World::go_through_a_transaction() {
  HeldArena& arena = any_arena();
  const Bytes before = arena.content;
  std::optional<Transaction> transaction;
  trace_.line(name(arena), ": a transaction begins");
  begin_to_write(arena);
  if (!succeeds([&] { transaction.emplace(arena.arena); })) return;
  for (std::size_t change = choice_.between(1, 6); change > 0; --change) stamp(arena, any_range(arena));
  if (choice_.chance(30) && snapshots_.size() < snapshot_limit_) take_snapshot_of(arena);
  if (choice_.chance(30)) stamp(arena, any_range(arena));
  const bool kept = choice_.chance(40);
  trace_.line(name(arena), ": the transaction ", kept ? "is committed" : "is rolled back");
  if (kept) return transaction->commit();
  begin_to_write(arena);
  if (!succeeds([&] { transaction->roll_back(); })) {
    check_arena(arena);
    transaction->roll_back();
  }
  arena.content = taken_over(arena, before);
  check_arena(arena);
}

}  // namespace cow::model

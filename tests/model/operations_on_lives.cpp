// Operations that make, move and end arenas, snapshots and views.
#include <optional>
#include <stdexcept>
#include <utility>

#include "arena/change_barrier.hpp"
#include "model/world.hpp"
#include "support/barriers.hpp"

namespace cow::model {

namespace {

Barrier any_barrier(ByteSource& choice) {
  static const bool userfaultfd = test::is_available(Barrier::userfaultfd);
  const std::size_t kind = choice.below(3);
  return kind == 0 ? Barrier::mprotect : kind == 1 || !userfaultfd ? Barrier::automatic : Barrier::userfaultfd;
}

}  // namespace

void World::new_family() {
  if (arenas_.size() >= arena_limit_ || families_ >= 2) return;
  const std::size_t kind = choice_.below(100);
  const std::size_t most = kind < 50 ? 40 : kind < 88 ? 100 : 300;
  ArenaOptions options;
  options.capacity = choice_.between(16, most) * page_size();
  options.name = "model";
  options.barrier = setting_.barrier.value_or(any_barrier(choice_));
  if (choice_.chance(20)) options.reserve_history_bytes = choice_.between(1, 200) * page_size();
  std::optional<Arena> made;
  if (arenas_.empty()) {
    made.emplace(options);  // a world has one
  } else if (!succeeds([&] { made.emplace(options); })) {
    return;
  }
  HeldArena arena{std::move(*made), next_arena_id_++, Bytes(options.capacity), nullptr, nullptr, false, ++families_,
                  PageFlags(options.capacity / page_size())};
  trace_.line(name(arena), ": new, of ", options.capacity / page_size(), " pages");
  arenas_.push_back(std::move(arena));
}

const HeldSnapshot* World::handle_on(const MirrorVersionPtr& version) const {
  for (const HeldSnapshot& held : snapshots_)
    if (version && held.mirror == version) return &held;
  return nullptr;
}

// Nothing was written for all that the model knows; the engine cannot know where the kernel would not take the memory of
// pages back that were only read.
bool World::engine_may_not_know(const HeldArena& arena) const {
  return arena.arena.barrier() == Barrier::kernel && setting_.refusals;
}

// The engine may share a version when it knows better than the model that nothing was written (a discard of
// nothing, say), but must when the model knows it too.
void World::adopt_snapshot(HeldArena& arena, Snapshot handle) {
  MirrorVersionPtr mirror;
  for (const HeldSnapshot& held : snapshots_)
    if (held.handle == handle) mirror = held.mirror;
  if (!arena.written && handle_on(arena.newest) != nullptr && !engine_may_not_know(arena))
    require(mirror == arena.newest, "unwritten since the newest snapshot, but not the same version");
  if (mirror) {
    require(mirror->owner == arena.id || mirror == arena.base, "another arena's version came back");
    require(mirror->content == shown(arena), "a version is shared that has other content");
  } else {
    mirror = new_version(arena);
  }
  arena.newest = mirror;
  arena.written = false;
  snapshots_.push_back({next_snapshot_id_++, std::move(handle), mirror});
}

void World::take_snapshot() {
  if (snapshots_.size() >= snapshot_limit_) return drop_handle();
  take_snapshot_of(any_arena());
}

void World::take_snapshot_of(HeldArena& arena) {
  trace_.line(name(arena), ": snapshot ", next_snapshot_id_);
  Snapshot taken;
  if (!succeeds([&] { taken = arena.arena.snapshot(); })) return begin_to_write(arena);
  adopt_snapshot(arena, std::move(taken));
}

void World::copy_handle() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr || snapshots_.size() >= snapshot_limit_) return;
  trace_.line(name(*snapshot), ": copied as snapshot ", next_snapshot_id_);
  HeldSnapshot copy = *snapshot;
  copy.id = next_snapshot_id_++;
  snapshots_.push_back(std::move(copy));
}

void World::assign_handle() {
  HeldSnapshot* const to = any_snapshot();
  const HeldSnapshot* const from = any_snapshot();
  if (to == nullptr) return;
  trace_.line(name(*to), ": now is ", name(*from));
  require(succeeds([&] { to->handle = from->handle; }), "a handle could not be assigned");
  to->mirror = from->mirror;
}

void World::drop_handle() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return;
  trace_.line(name(*snapshot), ": dropped");
  erase_snapshot(static_cast<std::size_t>(snapshot - snapshots_.data()));
}

/// As a fault profile does when it begins and ends: arenas that catch no writes begin to, and leave off at a cut.
void World::change_barriers() {
  const bool wanted = !signals_wanted.load();
  trace_.line(wanted ? "signals are wanted" : "signals are wanted no more");
  if (wanted) {
    want_signals();
  } else {
    signals_wanted.store(false);
  }
}

void World::roll_back() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return take_snapshot();
  std::vector<HeldArena*> able;
  for (HeldArena& each : arenas_)
    if (related(each, *snapshot) == Related::yes) able.push_back(&each);
  HeldArena& arena = able.empty() || choice_.chance(10) ? any_arena() : *able[choice_.below(able.size())];
  const Related relation = related(arena, *snapshot);
  trace_.line(name(arena), ": back to ", name(*snapshot), relation == Related::no ? ", which is foreign" : "");
  try {
    if (!succeeds([&] { arena.arena.rollback(snapshot->handle); })) {
      begin_to_write(arena);
      return check_arena(arena);
    }
    require(relation != Related::no, "a foreign snapshot was taken by rollback");
    arena.content = taken_over(arena, snapshot->mirror->content);
    begin_to_write(arena);
  } catch (const std::invalid_argument&) {
    require(relation != Related::yes, "a snapshot was refused by rollback");
    check_arena(arena);
  }
}

void World::adopt_clone(Arena clone, const MirrorVersionPtr& base, bool base_is_known) {
  HeldArena held{std::move(clone), next_arena_id_++, base->content, base, nullptr, false, base->family,
                 base->excluded, base_is_known};
  trace_.line(name(held), ": the clone");
  check_arena(held);
  arenas_.push_back(std::move(held));
}

MirrorVersionPtr World::new_version(const HeldArena& arena) const {
  static std::uint64_t order = 0;
  return std::make_shared<const MirrorVersion>(
      MirrorVersion{arena.id, shown(arena), arena.family, ++order, arena.base, arena.excluded});
}

MirrorVersionPtr World::version_just_cloned(const HeldArena& arena) const {
  if (!arena.written && handle_on(arena.newest) != nullptr) return arena.newest;
  return new_version(arena);
}

void World::clone_arena() {
  if (arenas_.size() >= arena_limit_) return drop_arena();
  HeldArena& arena = any_arena();
  trace_.line(name(arena), ": cloned");
  std::optional<Arena> clone;
  if (!succeeds([&] { clone.emplace(arena.arena.clone()); })) return begin_to_write(arena);
  arena.newest = version_just_cloned(arena);
  arena.written = false;
  adopt_clone(std::move(*clone), MirrorVersionPtr(arena.newest), !engine_may_not_know(arena));
}

void World::clone_snapshot() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr || arenas_.size() >= arena_limit_) return take_snapshot();
  trace_.line(name(*snapshot), ": cloned");
  std::optional<Arena> clone;
  if (!succeeds([&] { clone.emplace(snapshot->handle.clone()); })) return;
  adopt_clone(std::move(*clone), snapshot->mirror);
}

void World::replace_by_clone() {
  HeldArena& arena = any_arena();
  trace_.line(name(arena), ": becomes its own clone, arena ", next_arena_id_);
  const bool base_is_known = !engine_may_not_know(arena);
  if (!succeeds([&] { arena.arena = arena.arena.clone(); })) return begin_to_write(arena);
  arena.base = version_just_cloned(arena);
  arena.content = arena.base->content;
  arena.excluded = arena.base->excluded;
  arena.base_is_known = base_is_known;
  arena.id = next_arena_id_++;
  arena.newest = nullptr;
  arena.written = false;
}

void World::erase_arena(std::size_t index) {
  trace_.line(name(arenas_[index]), ": dropped");
  const auto at = arenas_.begin() + static_cast<std::ptrdiff_t>(index);
  require(succeeds([&] { arenas_.erase(at); }), "an arena could not be dropped");
}

void World::erase_snapshot(std::size_t index) {
  const auto at = snapshots_.begin() + static_cast<std::ptrdiff_t>(index);
  require(succeeds([&] { snapshots_.erase(at); }), "a snapshot could not be dropped");
}

void World::erase_view(std::size_t index) {
  const auto at = views_.begin() + static_cast<std::ptrdiff_t>(index);
  require(succeeds([&] { views_.erase(at); }), "a view could not be closed");
}

void World::drop_arena() {
  if (arenas_.size() < 2) return;
  erase_arena(choice_.below(arenas_.size()));
}

void World::assign_over() {
  const std::size_t to = choice_.below(arenas_.size());
  const std::size_t from = choice_.below(arenas_.size());
  if (to == from) return;
  trace_.line(name(arenas_[to]), ": dropped, since ", name(arenas_[from]), " is assigned to it");
  require(succeeds([&] { arenas_[to] = std::move(arenas_[from]); }), "an arena could not be replaced");
  require(arenas_[from].arena.data() == nullptr, "a moved-from arena still has memory");
  arenas_.erase(arenas_.begin() + static_cast<std::ptrdiff_t>(from));
}

void World::move_arenas() {
  HeldArena& one = any_arena();
  HeldArena& other = any_arena();
  const std::byte* const address = one.arena.data();
  trace_.line(name(one), ": swapped with ", name(other));
  if (&one != &other) std::swap(one, other);
  require(other.arena.data() == address, "an arena's memory moved with it");
}

void World::open_view() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return take_snapshot();
  if (views_.size() >= view_limit_) return close_view();
  trace_.line(name(*snapshot), ": viewed");
  View view;
  if (!succeeds([&] { view = snapshot->handle.view(); })) return;
  views_.push_back({std::move(view), snapshot->mirror});
  check_view(views_.back());
}

void World::move_views() {
  HeldView* const view = any_view();
  if (view == nullptr) return;
  trace_.line("a view is moved");
  std::swap(*view, views_.front());
}

void World::close_view() {
  const HeldView* const view = any_view();
  if (view == nullptr) return;
  trace_.line("a view is closed");
  erase_view(static_cast<std::size_t>(view - views_.data()));
}

}  // namespace cow::model

// What the model knows of each arena, snapshot and view: the real object beside the plain bytes that it must show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "cow/cow.hpp"

namespace cow::model {

using Bytes = std::vector<std::byte>;

struct MirrorVersion;
using MirrorVersionPtr = std::shared_ptr<const MirrorVersion>;

/// The content of an arena at one moment.
struct MirrorVersion {
  std::uint64_t owner = 0;   // the arena it was taken of
  Bytes content;
  std::uint64_t family = 0;
  std::uint64_t order = 0;   // of all versions, by age
  MirrorVersionPtr came_of;  // what the owner was cloned from
};

struct HeldArena {
  Arena arena;
  std::uint64_t id = 0;     // never used twice
  Bytes content;
  MirrorVersionPtr base;    // what it was cloned from; null for the first of a family
  MirrorVersionPtr newest;  // of the latest snapshot; null when there was none
  bool written = false;     // since the latest snapshot, as far as anyone can tell
  std::uint64_t family = 0;
};

struct HeldSnapshot {
  std::uint64_t id = 0;
  Snapshot handle;
  MirrorVersionPtr mirror;
};

struct HeldView {
  View view;
  MirrorVersionPtr mirror;
};

/// A whole file and the layers on it, and what the newest of them shows.
struct HeldFile {
  std::vector<std::filesystem::path> chain;
  MirrorVersionPtr mirror;
};

/// Whether an arena may roll back to a snapshot.
enum class Related { yes, no, perhaps };

/// Perhaps: the snapshot has the content of the arena's base and comes from the same arena, but the model
/// cannot see whether it is the same version, since no handle held that one in between.
inline Related related(const HeldArena& arena, const HeldSnapshot& snapshot) {
  if (snapshot.mirror->owner == arena.id || snapshot.mirror == arena.base) return Related::yes;
  if (arena.base && arena.base->owner == snapshot.mirror->owner && arena.base->content == snapshot.mirror->content)
    return Related::perhaps;
  return Related::no;
}

/// Whether an arena that was cloned from `came_of`, or a version of it, comes from a base. Perhaps: the base has the
/// content that the arena was cloned with, but the model cannot see whether it is that version.
inline Related comes_from(std::uint64_t arena, MirrorVersionPtr came_of, std::uint64_t order,
                          const MirrorVersion& base) {
  if (base.owner == arena) return base.order <= order ? Related::yes : Related::no;
  for (; came_of; came_of = came_of->came_of) {
    if (came_of->owner != base.owner) continue;
    if (base.order <= came_of->order) return Related::yes;
    return base.content == came_of->content ? Related::perhaps : Related::no;
  }
  return Related::no;
}

}  // namespace cow::model

// What the model knows of each arena, snapshot and view: the real object beside the plain bytes that it must show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cow/cow.hpp"

namespace cow::model {

using Bytes = std::vector<std::byte>;

/// The content of an arena at one moment.
struct MirrorVersion {
  std::uint64_t owner = 0;  // the arena it was taken of
  Bytes content;
};
using MirrorVersionPtr = std::shared_ptr<const MirrorVersion>;

struct HeldArena {
  Arena arena;
  std::uint64_t id = 0;     // never used twice
  Bytes content;
  MirrorVersionPtr base;    // what it was cloned from; null for the first of a family
  MirrorVersionPtr newest;  // of the latest snapshot; null when there was none
  bool written = false;     // since the latest snapshot, as far as anyone can tell
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

}  // namespace cow::model

// What the model knows of each arena, snapshot and view: the real object beside the plain bytes that it must show.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "cow/cow.hpp"

namespace cow::model {

using Bytes = std::vector<std::byte>;
using PageFlags = std::vector<bool>;

struct MirrorVersion;
using MirrorVersionPtr = std::shared_ptr<const MirrorVersion>;

/// The content of an arena at one moment.
struct MirrorVersion {
  std::uint64_t owner = 0;   // the arena it was taken of
  Bytes content;
  std::uint64_t family = 0;
  std::uint64_t order = 0;   // of all versions, by age
  MirrorVersionPtr came_of;  // what the owner was cloned from
  PageFlags excluded;        // reads as zero
};

struct HeldArena {
  Arena arena;
  std::uint64_t id = 0;     // never used twice
  Bytes content;
  MirrorVersionPtr base;    // what it was cloned from; null for the first of a family
  MirrorVersionPtr newest;  // of the latest snapshot; null when there was none
  bool written = false;     // since the latest snapshot, as far as anyone can tell
  std::uint64_t family = 0;
  PageFlags excluded = PageFlags(content.size() / page_size(), false);  // what versions leave alone
  bool base_is_known = true;  // else the base may be another version of that content, which no handle holds
};

/// The bytes of `content`, but for pages in `flags`, which are those of `other`; null: zeros.
inline Bytes patched(Bytes content, const PageFlags& flags, const Bytes* other) {
  for (std::size_t page = 0; page < flags.size(); ++page) {
    if (!flags[page]) continue;
    const auto at = static_cast<std::ptrdiff_t>(page * page_size()), size = static_cast<std::ptrdiff_t>(page_size());
    if (other == nullptr) {
      std::fill_n(content.begin() + at, size, std::byte{0});
    } else {
      std::copy_n(other->begin() + at, size, content.begin() + at);
    }
  }
  return content;
}

/// What a version of the arena shows.
inline Bytes shown(const HeldArena& arena) { return patched(arena.content, arena.excluded, nullptr); }
/// What the arena holds once it has taken over other content.
inline Bytes taken_over(const HeldArena& arena, const Bytes& other) {
  return patched(other, arena.excluded, &arena.content);
}

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
  if (snapshot.mirror->owner == arena.id) return Related::yes;
  if (snapshot.mirror == arena.base) return arena.base_is_known ? Related::yes : Related::perhaps;
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

// What must hold between the engine and the plain bytes, and the numbers that must be left at the end.
#include <algorithm>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include "model/world.hpp"

namespace cow::model {
namespace {

void require_same(const std::byte* found, const Bytes& expected, const std::string& whose) {
  if (std::memcmp(found, expected.data(), expected.size()) == 0) return;
  const auto first = std::mismatch(expected.begin(), expected.end(), found);
  const auto offset = static_cast<std::size_t>(first.first - expected.begin());
  throw Mismatch(whose + " differs in page " + std::to_string(offset / page_size()) + " at byte " +
                 std::to_string(offset % page_size()) + ": " + std::to_string(std::to_integer<int>(*first.second)) +
                 " instead of " + std::to_string(std::to_integer<int>(*first.first)));
}

}  // namespace

void World::check_arena(const HeldArena& arena) const {
  require(arena.arena.capacity() == arena.content.size(), "an arena has another capacity");
  require_same(arena.arena.data(), arena.content, name(arena));
}

void World::check_snapshot(const HeldSnapshot& snapshot) {
  require(snapshot.handle.capacity() == snapshot.mirror->content.size(), "a snapshot has another capacity");
  scratch_.resize(snapshot.handle.capacity());
  snapshot.handle.read(0, scratch_);
  require_same(scratch_.data(), snapshot.mirror->content, name(snapshot));
}

void World::check_view(const HeldView& view) const {
  require(view.view.size() == view.mirror->content.size(), "a view has another size");
  require_same(view.view.data(), view.mirror->content, "a view of arena " + std::to_string(view.mirror->owner));
}

void World::check_everything() {
  for (const HeldArena& arena : arenas_) check_arena(arena);
  std::set<const MirrorVersion*> seen;
  for (const HeldSnapshot& snapshot : snapshots_)
    if (seen.insert(snapshot.mirror.get()).second) check_snapshot(snapshot);
  for (const HeldView& view : views_) check_view(view);
  for (const HeldArena& arena : arenas_) check_numbers(arena);
  for (const HeldSnapshot& a : snapshots_)
    for (const HeldSnapshot& b : snapshots_) {
      require((a.handle == b.handle) == (a.mirror == b.mirror), "handles compare wrongly");
    }
}

// One page of every arena, one of every view, one of one snapshot, the numbers of one arena.
void World::cheap_checks() {
  for (const HeldArena& arena : arenas_) {
    const std::size_t offset = any_page(arena) * page_size();
    if (std::memcmp(arena.arena.data() + offset, arena.content.data() + offset, page_size()) != 0) check_arena(arena);
  }
  for (const HeldView& view : views_) {
    const std::size_t offset = choice_.below(view.mirror->content.size() / page_size()) * page_size();
    if (std::memcmp(view.view.data() + offset, view.mirror->content.data() + offset, page_size()) != 0) {
      check_view(view);
    }
  }
  if (const HeldSnapshot* const snapshot = any_snapshot()) {
    scratch_.resize(page_size());
    const std::size_t offset = choice_.below(snapshot->mirror->content.size() / page_size()) * page_size();
    snapshot->handle.read(offset, scratch_);
    if (std::memcmp(scratch_.data(), snapshot->mirror->content.data() + offset, page_size()) != 0) {
      check_snapshot(*snapshot);
    }
  }
  check_numbers(any_arena());
}

void World::check_numbers(const HeldArena& arena) const {
  const ArenaStats stats = arena.arena.stats();
  const std::size_t pages = arena.content.size() / page_size();
  require(stats.pages_writable <= pages, "more pages writable than there are");
  require(stats.pages_private + stats.pages_borrowed <= pages, "more pages private and borrowed than there are");
  require(arena.base != nullptr || is_loaded(arena) || stats.pages_borrowed == 0, "an arena that is no clone borrows");
  require(stats.loose_frames <= stats.file_frames_used + stats.history_frames_used, "more loose frames than frames");

  std::set<const MirrorVersion*> held, needed;
  for (const HeldSnapshot& snapshot : snapshots_)
    if (snapshot.mirror->owner == arena.id) held.insert(snapshot.mirror.get());
  needed = held;
  for (const HeldView& view : views_)
    if (view.mirror->owner == arena.id) needed.insert(view.mirror.get());
  for (const HeldArena& clone : arenas_)
    if (clone.base && clone.base->owner == arena.id) needed.insert(clone.base.get());
  // Versions of all arenas share the history; each needs at most one before-image of a page.
  std::set<const MirrorVersion*> versions;
  for (const HeldSnapshot& snapshot : snapshots_) versions.insert(snapshot.mirror.get());
  for (const HeldView& view : views_) versions.insert(view.mirror.get());
  for (const HeldArena& clone : arenas_) versions.insert(clone.base.get());
  require(stats.history_frames_used <= versions.size() * pages + stats.loose_frames,
          "history keeps a page twice for a snapshot");
  require(stats.snapshots_alive >= held.size(), "fewer snapshots alive than there are handles on");
  require(stats.snapshots_alive <= needed.size(), "more snapshots alive than anyone holds");
}

namespace {

/// Sorted, disjoint, and each page that differs is named.
void require_named(const std::vector<PageRange>& ranges, const Bytes& a, const Bytes& b) {
  const std::size_t pages = a.size() / page_size();
  std::vector<bool> named(pages, false);
  std::size_t end = 0;
  for (const PageRange& range : ranges) {
    require(range.count > 0 && range.first >= end && range.count <= pages - range.first, "changed ranges are untidy");
    end = range.first + range.count;
    for (std::size_t page = range.first; page < end; ++page) named[page] = true;
  }
  for (std::size_t page = 0; page < pages; ++page) {
    const bool same = std::memcmp(a.data() + page * page_size(),
                                  b.data() + page * page_size(), page_size()) == 0;
    require(same || named[page], "a page that differs is not among those that changed");
  }
}

}  // namespace

void World::check_changed(const HeldArena& arena, const HeldSnapshot& since) {
  std::vector<PageRange> ranges;
  if (!succeeds([&] { ranges = arena.arena.changed_since(since.handle); })) return;
  require_named(ranges, arena.content, since.mirror->content);
}

void World::check_between(const HeldSnapshot& a, const HeldSnapshot& b) {
  std::vector<PageRange> ranges;
  if (!succeeds([&] { ranges = changed_between(a.handle, b.handle); })) return;
  require_named(ranges, a.mirror->content, b.mirror->content);
  require(a.mirror != b.mirror || ranges.empty(), "a version differs from itself");
}

void World::check_differences(const HeldSnapshot& a, const HeldSnapshot& b, std::size_t granule) {
  const Bytes &before = a.mirror->content, &after = b.mirror->content;
  Bytes rebuilt = before;
  std::size_t end = 0;
  const auto note = [&](const Difference& d) {
    require(d.offset % granule == 0 && d.before.size() % granule == 0, "a difference is no run of granules");
    require(!d.before.empty() && (end == 0 || d.offset > end), "differences are not maximal or not ascending");
    require(std::memcmp(d.before.data(), &before[d.offset], d.before.size()) == 0, "a difference has another before");
    end = d.offset + d.before.size();
    for (std::size_t at = d.offset; at < end; at += granule) {
      require(std::memcmp(&before[at], &after[at], granule) != 0, "a granule is told that does not differ");
    }
    std::memcpy(&rebuilt[d.offset], d.after.data(), d.after.size());
  };
  if (!succeeds([&] { for_each_difference(a.handle, b.handle, note, granule); })) return;
  require(rebuilt == after, "the differences do not lead from one version to the other");
}

// The kernel itself must be able to write there, which no handler helps with.
void World::check_prepared(const HeldArena& arena, Range range) const {
  const int zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  const std::size_t last = range.offset + range.size - 1;
  for (std::size_t at = range.offset; at <= last; at = std::min(at / page_size() * page_size() + page_size(), last)) {
    const bool written = ::read(zeros, arena.arena.data() + at, 1) == 1;
    if (written) arena.arena.data()[at] = arena.content[at];
    if (!written) ::close(zeros);
    require(written, "a prepared page cannot be written by the kernel");
    if (at == last) break;
  }
  ::close(zeros);
}

// A clone that is left may show frames of versions that nobody else needs: those, and no others. Once it has
// written everything, only its own pages are left.
void World::check_nothing_left(HeldArena& last) {
  const std::size_t pages = last.content.size() / page_size();
  ArenaStats stats = last.arena.stats();
  require(stats.snapshots_alive == 0, "a snapshot is alive that nobody holds");
  require(is_loaded(last) || stats.loose_frames == stats.pages_borrowed,
          "loose frames are not those that the last arena borrows");
  require(stats.history_frames_used <= stats.pages_borrowed, "history keeps what nobody needs");
  require(stats.file_frames_used + stats.history_frames_used <= stats.pages_private + stats.pages_borrowed,
          "frames are kept that the last arena does not show");
  stamp(last, {0, last.content.size()});
  check_arena(last);
  if (last.arena.barrier() == Barrier::kernel) (void)last.arena.snapshot();  // only a cut gives up what was borrowed
  stats = last.arena.stats();
  require(stats.history_frames_used == 0, "history is not empty at the end");
  require(stats.loose_frames == 0, "there are loose frames at the end");
  require(stats.pages_borrowed == 0, "pages are still borrowed at the end");
  require(stats.file_frames_used == pages, "the last arena's frames are not the only ones");
}

}  // namespace cow::model

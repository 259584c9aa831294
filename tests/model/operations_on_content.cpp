// Operations that write, read and compare content.
#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "model/huge_pages.hpp"
#include "model/world.hpp"

namespace cow::model {

Bytes World::new_stamp(std::size_t size) {
  Bytes bytes(size);
  std::uint64_t value = ++stamps_ * 0x9e3779b97f4a7c15U;
  for (std::size_t i = 0; i < size; i += sizeof value, value += 0x0101010101010101U)
    std::memcpy(bytes.data() + i, &value, std::min(sizeof value, size - i));
  return bytes;
}

void World::stamp(HeldArena& arena, Range range) {
  const Bytes bytes = new_stamp(range.size);
  std::copy(bytes.begin(), bytes.end(), arena.content.begin() + static_cast<std::ptrdiff_t>(range.offset));
  std::memcpy(arena.arena.data() + range.offset, arena.content.data() + range.offset, range.size);
  begin_to_write(arena);
}

// `from` may lie in any arena, also in this one.
void World::copy_in(HeldArena& arena, std::size_t offset, const std::byte* from, std::size_t size) {
  const Bytes source(from, from + size);
  std::memmove(arena.arena.data() + offset, from, size);
  std::copy(source.begin(), source.end(), arena.content.begin() + static_cast<std::ptrdiff_t>(offset));
  begin_to_write(arena);
}

void World::write_byte() {
  HeldArena& arena = any_arena();
  const std::size_t offset = any_page(arena) * page_size() + choice_.below(page_size());
  trace_.line(name(arena), ": write a byte of page ", offset / page_size());
  const auto value = static_cast<std::byte>(++stamps_);
  volatile std::byte& place = arena.arena.data()[offset];
  place = value;
  arena.content[offset] = value;
  begin_to_write(arena);
}

// One store of eight bytes; half of them lie across two pages.
void World::write_word() {
  HeldArena& arena = any_arena();
  std::size_t offset = any_page(arena) * page_size() + 8 * choice_.below(page_size() / 8);
  if (choice_.chance(50) && offset / page_size() + 1 < arena.content.size() / page_size())
    offset = (offset / page_size() + 1) * page_size() - choice_.between(1, 7);
  trace_.line(name(arena), ": write a word at ", offset / page_size(), "+", offset % page_size());
  stamp(arena, {offset, 8});
}

void World::write_range() {
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  trace_.line(name(arena), ": write ", range.size, " bytes at ", range.offset / page_size(), "+",
              range.offset % page_size());
  stamp(arena, range);
}

// One word in each page of a run: what a block sees coming.
void World::write_run_of_pages() {
  HeldArena& arena = any_arena();
  const std::size_t pages = arena.content.size() / page_size();
  const std::size_t first = any_page(arena);
  const std::size_t count = std::min(pages - first, choice_.between(1, 70));
  const bool backwards = choice_.chance(20);
  trace_.line(name(arena), ": write pages ", first, " to ", first + count - 1, backwards ? " backwards" : "");
  for (std::size_t i = 0; i < count; ++i)
    stamp(arena, {(backwards ? first + count - 1 - i : first + i) * page_size(), 8});
}

void World::write_scattered_pages() {
  HeldArena& arena = any_arena();
  const std::size_t pages = arena.content.size() / page_size();
  const std::size_t count = choice_.between(1, 24);
  std::string places;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t page = choice_.below(pages);
    places += " " + std::to_string(page);
    stamp(arena, {page * page_size() + 8 * choice_.below(page_size() / 8), 8});
  }
  trace_.line(name(arena), ": write pages", places);
}

// The same pages before each of some snapshots: such pages are copied ahead.
void World::write_in_a_rhythm() {
  HeldArena& arena = any_arena();
  const std::size_t pages[] = {any_page(arena), any_page(arena)};
  const std::size_t beats = choice_.between(3, 10);
  trace_.line(name(arena), ": ", beats, " times pages ", pages[0], " and ", pages[1], " and a snapshot");
  for (std::size_t beat = 0; beat < beats; ++beat) {
    for (const std::size_t page : pages)
      if (choice_.chance(90)) stamp(arena, {page * page_size(), 8});
    take_snapshot_of(arena);
    while (snapshots_.size() > snapshot_limit_) erase_snapshot(choice_.below(snapshots_.size()));
  }
}

void World::write_zeros() {
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  trace_.line(name(arena), ": write ", range.size, " zeros at ", range.offset / page_size(), "+",
              range.offset % page_size());
  std::memset(arena.arena.data() + range.offset, 0, range.size);
  std::memset(arena.content.data() + range.offset, 0, range.size);
  begin_to_write(arena);
}

void World::write_what_is_there() {
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  trace_.line(name(arena), ": write the same ", range.size, " bytes at ", range.offset / page_size(), "+",
              range.offset % page_size());
  std::memcpy(arena.arena.data() + range.offset, arena.content.data() + range.offset, range.size);
  begin_to_write(arena);
}

void World::hand_over_write() {
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  trace_.line(name(arena), ": write() of ", range.size, " bytes at ", range.offset / page_size(), "+",
              range.offset % page_size());
  const Bytes bytes = new_stamp(range.size);
  begin_to_write(arena);
  const bool written =
      succeeds([&] { arena.arena.write(arena.arena.data() + range.offset, bytes.data(), range.size); });
  if (!written) return check_arena(arena);
  std::copy(bytes.begin(), bytes.end(), arena.content.begin() + static_cast<std::ptrdiff_t>(range.offset));
}

// What it writes may overlap, and may come from an arena: even from the same one, whose pages are being replaced.
void World::hand_over_batch() {
  HeldArena& arena = any_arena();
  std::vector<Bytes> sources(choice_.between(1, 12));
  std::vector<Write> batch;
  Bytes after = arena.content;
  std::string places;
  for (Bytes& bytes : sources) {
    const Range range = any_range(arena);
    const HeldArena& other = any_arena();
    const std::size_t start = range.offset + range.size;
    const bool copied = choice_.chance(30) && range.size <= other.content.size() &&
                        start <= other.content.size() - range.size;
    places += " " + std::to_string(range.offset) + "+" + std::to_string(range.size);
    if (copied) {
      places += " from " + name(other);
      batch.push_back({arena.arena.data() + range.offset, other.arena.data() + start, range.size});
      const Bytes& shown = &other == &arena ? after : other.content;
      const auto from = shown.begin() + static_cast<std::ptrdiff_t>(start);
      std::copy_n(from, range.size, after.begin() + static_cast<std::ptrdiff_t>(range.offset));
    } else {
      bytes = new_stamp(range.size);
      batch.push_back({arena.arena.data() + range.offset, bytes.data(), range.size});
      std::copy(bytes.begin(), bytes.end(), after.begin() + static_cast<std::ptrdiff_t>(range.offset));
    }
  }
  trace_.line(name(arena), ": write() of a batch:", places);
  begin_to_write(arena);
  if (!succeeds([&] { arena.arena.write(batch); })) return check_arena(arena);
  arena.content = std::move(after);
}

void World::move_within() {
  HeldArena& arena = any_arena();
  const Range from = any_range(arena);
  const std::size_t to = std::min(any_page(arena) * page_size() + from.offset % 64, arena.content.size() - from.size);
  trace_.line(name(arena), ": move ", from.size, " bytes from ", from.offset, " to ", to);
  copy_in(arena, to, arena.arena.data() + from.offset, from.size);
}

void World::copy_between() {
  const HeldArena& from = any_arena();
  HeldArena& to = any_arena();
  const Range range = any_range(to);
  const std::size_t size = std::min(range.size, from.content.size());
  const std::size_t start = choice_.below(from.content.size() - size + 1);
  trace_.line(name(from), ": copy ", size, " bytes from ", start, " to ", name(to), " at ", range.offset);
  copy_in(to, range.offset, from.arena.data() + start, size);
}

void World::copy_from_view() {
  const HeldView* const view = any_view();
  if (view == nullptr) return open_view();
  HeldArena& to = any_arena();
  const Range range = any_range(to);
  const std::size_t size = std::min(range.size, view->view.size());
  const std::size_t start = choice_.below(view->view.size() - size + 1);
  trace_.line(name(to), ": copy ", size, " bytes from a view at ", start, " to ", range.offset);
  copy_in(to, range.offset, view->view.data() + start, size);
}

void World::prepare_write() {
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  trace_.line(name(arena), ": prepare ", range.size, " bytes at ", range.offset / page_size(), "+",
              range.offset % page_size());
  begin_to_write(arena);
  if (!succeeds([&] { arena.arena.prepare_write(arena.arena.data() + range.offset, range.size); })) {
    return check_arena(arena);
  }
  check_prepared(arena, range);
  if (choice_.chance(60)) stamp(arena, {range.offset + range.size / 2, 1});
}

void World::discard() {
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  trace_.line(name(arena), ": discard ", range.size, " bytes at ", range.offset / page_size(), "+",
              range.offset % page_size());
  begin_to_write(arena);
  if (!succeeds([&] { arena.arena.discard(arena.arena.data() + range.offset, range.size); })) {
    return check_arena(arena);
  }
  const std::size_t first = (range.offset + page_size() - 1) / page_size() * page_size();
  const std::size_t end = (range.offset + range.size) / page_size() * page_size();
  if (first < end) std::memset(arena.content.data() + first, 0, end - first);
}

// Pages that are not excluded yet, in one run, perhaps with others round them.
void World::exclude() {
  HeldArena& arena = any_arena();
  const std::size_t pages = arena.excluded.size();
  std::size_t first = any_page(arena), count = std::min(choice_.between(1, choice_.chance(80) ? 4 : 40), pages - first);
  std::size_t runs = 0, added = 0;
  for (std::size_t page = first; page < first + count; ++page) {
    const bool begins = !arena.excluded[page] && (page == first || arena.excluded[page - 1]);
    if (begins && ++runs == 2) count = page - first;
    added += runs < 2 && !arena.excluded[page] ? 1 : 0;
  }
  trace_.line(name(arena), ": exclude ", count, " pages from ", first);
  begin_to_write(arena);
  const std::uint64_t before = arena.arena.stats().pages_excluded;
  const bool done =
      succeeds([&] { arena.arena.exclude(arena.arena.data() + first * page_size(), count * page_size()); });
  require(arena.arena.stats().pages_excluded == before + (done ? added : 0), "pages are half excluded");
  check_arena(arena);
  if (done) std::fill_n(arena.excluded.begin() + static_cast<std::ptrdiff_t>(first), count, true);
}

void World::read_into_buffer() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return take_snapshot();
  const Bytes& expected = snapshot->mirror->content;
  const std::size_t offset = choice_.below(expected.size());
  const std::size_t size = choice_.below(std::min(expected.size() - offset, 5 * page_size()) + 1);
  trace_.line(name(*snapshot), ": read ", size, " bytes at ", offset);
  Bytes out(size);
  if (!succeeds([&] { snapshot->handle.read(offset, out); })) return;
  require(std::equal(out.begin(), out.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset)),
          "a snapshot reads differently");
}

void World::read_into_arena() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return take_snapshot();
  HeldArena& arena = any_arena();
  const Range range = any_range(arena);
  const Bytes& source = snapshot->mirror->content;
  const std::size_t size = std::min(range.size, source.size());
  const std::size_t start = choice_.below(source.size() - size + 1);
  trace_.line(name(*snapshot), ": read ", size, " bytes at ", start, " into ", name(arena), " at ", range.offset);
  snapshot->handle.read(start, std::span(arena.arena.data() + range.offset, size));
  std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(start), size,
              arena.content.begin() + static_cast<std::ptrdiff_t>(range.offset));
  begin_to_write(arena);
}

void World::ask_what_changed() {
  const HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return take_snapshot();
  for (const HeldArena& arena : arenas_) {
    const Related relation = related(arena, *snapshot);
    trace_.line(name(arena), ": what changed since ", name(*snapshot));
    try {
      check_changed(arena, *snapshot);
      require(relation != Related::no, "a foreign snapshot was taken by changed_since");
    } catch (const std::invalid_argument&) {
      require(relation != Related::yes, "a snapshot was refused by changed_since");
    }
  }
}

// What the kernel does to the memory behind an arena must not show. Without huge pages in the setting nothing is done.
void World::collapse() {
  if (!setting_.huge_pages) return;
  HeldArena& arena = any_arena();
  const bool done = put_huge_page(arena.arena, choice_.next(), choice_.chance(30));
  trace_.line(name(arena), ": a huge page", done ? "" : ", which the kernel does not give");
}

// Nothing may come of these but the exception.
void World::misuse() {
  HeldArena& arena = any_arena();
  std::byte* const end = arena.arena.data() + arena.arena.capacity();
  const std::size_t kind = choice_.below(8);
  const std::byte byte{1};
  trace_.line(name(arena), ": misuse of kind ", kind);
  try {
    if (kind == 0) arena.arena.prepare_write(end - 1, 2);
    if (kind == 1) arena.arena.discard(arena.arena.data() - page_size(), 3 * page_size());
    if (kind == 2) arena.arena.discard(arena.arena.data(), std::numeric_limits<std::size_t>::max());
    if (kind == 3) arena.arena.prepare_write(nullptr, 1);
    if (kind == 4) arena.arena.rollback(Snapshot());
    if (kind == 6) arena.arena.exclude(arena.arena.data() + 1, page_size());
    if (kind == 7) arena.arena.exclude(end - page_size(), 2 * page_size());
    if (kind == 5) arena.arena.write({{end - 1, &byte, 1}, {end, &byte, 1}});
  } catch (const std::logic_error&) {
    return;
  }
  throw Mismatch("misuse was not refused");
}

}  // namespace cow::model

// Promise: what snapshots, rollbacks, clones, views and discards give counts as initialized, and what the program has
// not initialized itself still does not. Plain memory only: the C++ library is not instrumented.
#include <sanitizer/msan_interface.h>
#include <cow/cow.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace {

constexpr std::size_t pages = 64;

#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) {                                                          \
      std::fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition); \
      std::exit(1);                                                              \
    }                                                                            \
  } while (false)

/// Memory without content, as malloc gives it.
class Uninitialized {
 public:
  Uninitialized() : bytes_(new std::byte[cow::page_size()]) {}
  Uninitialized(const Uninitialized&) = delete;
  Uninitialized& operator=(const Uninitialized&) = delete;
  ~Uninitialized() { delete[] bytes_; }
  std::byte* data() const { return bytes_; }

 private:
  std::byte* bytes_;
};

bool has_content(const void* memory, std::size_t count = 1) {
  return __msan_test_shadow(memory, count * cow::page_size()) == -1;
}
std::byte* page_of(const cow::Arena& arena, std::size_t page) { return arena.data() + page * cow::page_size(); }
void fill(const cow::Arena& arena, std::size_t page, int value) {
  std::memset(page_of(arena, page), value, cow::page_size());
}
void spoil(const cow::Arena& arena, std::size_t page) {
  const Uninitialized nothing;
  std::memcpy(page_of(arena, page), nothing.data(), cow::page_size());
  CHECK(!has_content(page_of(arena, page)));
}

cow::Arena make_arena(cow::Barrier barrier) {
  cow::ArenaOptions options;
  options.capacity = pages * cow::page_size();
  options.barrier = barrier;
  return cow::Arena(options);
}

void everything_given_has_content(cow::Barrier barrier) {
  cow::Arena arena = make_arena(barrier);
  CHECK(has_content(arena.data(), pages));
  for (std::size_t page = 0; page < 32; ++page) fill(arena, page, 1);
  const cow::Snapshot first = arena.snapshot();
  for (std::size_t page = 0; page < 8; ++page) fill(arena, page, 2);
  const cow::Arena clone = first.clone();
  const cow::View view = first.view();
  CHECK(has_content(arena.data(), pages) && has_content(clone.data(), pages) && has_content(view.data(), pages));
  fill(clone, 3, 3);
  for (const std::size_t page : {3U, 20U, 40U}) {  // in history, live, never written
    const Uninitialized out;
    first.read(page * cow::page_size(), {out.data(), cow::page_size()});
    CHECK(has_content(out.data()));
  }
  spoil(arena, 3);
  arena.rollback(first);
  CHECK(has_content(arena.data(), pages) && arena.data()[3 * cow::page_size()] == std::byte{1});
  spoil(arena, 4);
  arena.discard(page_of(arena, 4), cow::page_size());
  CHECK(has_content(arena.data(), pages) && arena.data()[4 * cow::page_size()] == std::byte{0});
  CHECK(!arena.changed_since(first).empty());
  const cow::ArenaStats stats = arena.stats();
  CHECK(__msan_test_shadow(&stats, sizeof stats) == -1);
}

/// Arenas, views and the library's own books come to lie where others were.
void addresses_used_again_have_content(cow::Barrier barrier) {
  for (int round = 0; round < 50; ++round) {
    cow::Arena arena = make_arena(barrier);
    CHECK(has_content(arena.data(), pages));
    for (std::size_t page = 0; page < pages; ++page) spoil(arena, page);
    const cow::View view = arena.snapshot().view();
    CHECK(has_content(view.data(), pages));
  }
}

/// Padding and the like: pages in which something is uninitialized are copied, compared and logged without a report.
void pages_need_no_content_to_be_kept(cow::Barrier barrier) {
  cow::Arena arena = make_arena(barrier);
  cow::Snapshot kept[8];
  for (int interval = 0; interval < 24; ++interval) {  // often enough to count as recurring, and be copied ahead
    spoil(arena, 5);
    fill(arena, 6, interval);
    kept[interval % 8] = arena.snapshot();
  }
  const cow::Snapshot again = arena.snapshot();
  spoil(arena, 5);
  (void)cow::copies_since_snapshot(arena);
  arena.rollback(kept[1]);
}

/// What must be noticed: a page that the program spoiled, and what lies behind the bytes that were read.
std::byte uninitialized_byte(bool in_an_arena) {
  cow::Arena arena = make_arena(cow::Barrier::mprotect);
  fill(arena, 7, 1);
  const cow::Snapshot snapshot = arena.snapshot();
  if (in_an_arena) {
    spoil(arena, 7);
    return *page_of(arena, 7);
  }
  const Uninitialized out;
  snapshot.read(0, {out.data(), cow::page_size() - 1});
  return out.data()[cow::page_size() - 1];
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1) {
    if (uninitialized_byte(std::strcmp(arguments[1], "in_an_arena") == 0) == std::byte{1}) std::puts("one");
    return 0;
  }
  for (const cow::Barrier barrier : {cow::Barrier::mprotect, cow::Barrier::automatic}) {
    everything_given_has_content(barrier);
    addresses_used_again_have_content(barrier);
    pages_need_no_content_to_be_kept(barrier);
  }
  return 0;
}

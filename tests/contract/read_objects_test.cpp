// Promise: Snapshot::read of an address gives the object that was there then, so that what is linked by pointers can be
// walked in a snapshot, also once the arena has changed or is gone; and reading takes no memory for what has none.
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class ReadObjects : public BarrierTest {};
COW_FOR_EVERY_BARRIER(ReadObjects);

struct Node {
  std::uint64_t value;
  const Node* next;
  std::uint32_t more[3];
};

/// A list through all pages, one node in each, the order of which is not that of the pages. Some lie across two pages.
Node* node_at(const Arena& arena, std::size_t place) {
  const std::size_t page = place * 11 % (page_count(arena) - 1);
  const std::size_t in_page = place % 3 == 0 ? page_size() - 16 : 64;
  return reinterpret_cast<Node*>(page_at(arena, page) + in_page);
}

constexpr std::size_t nodes = 40;

const Node* make_list(const Arena& arena, std::uint64_t first_value) {
  for (std::size_t i = 0; i < nodes; ++i) {
    const Node* const next = i + 1 < nodes ? node_at(arena, i + 1) : nullptr;
    *node_at(arena, i) = {first_value + i, next, {1, 2, static_cast<std::uint32_t>(i)}};
  }
  return node_at(arena, 0);
}

testing::AssertionResult has_list(const Snapshot& snapshot, const Node* first, std::uint64_t first_value) {
  std::size_t count = 0;
  for (const Node* at = first; at != nullptr; ++count) {
    const Node node = snapshot.read(at);
    if (node.value != first_value + count || node.more[2] != count)
      return testing::AssertionFailure() << "node " << count << " has " << node.value;
    at = node.next;
  }
  return count == nodes ? testing::AssertionSuccess() : testing::AssertionFailure() << count << " nodes";
}

TEST_P(ReadObjects, follow_pointers_while_the_arena_has_changed) {
  Arena arena = make_arena(nodes + 10);
  const Node* const list = make_list(arena, 100);
  const Snapshot first = arena.snapshot();
  EXPECT_TRUE(has_list(first, list, 100));  // from the arena itself
  for (std::size_t i = 0; i < nodes; i += 2) node_at(arena, i)->value = 0;
  const Node none{};
  for (std::size_t i = 1; i < nodes; i += 4) arena.write(node_at(arena, i), &none, sizeof none);
  EXPECT_TRUE(has_list(first, list, 100));
  make_list(arena, 500);
  const Snapshot second = arena.snapshot();
  arena.discard(arena.data(), arena.capacity());
  EXPECT_TRUE(has_list(first, list, 100));
  EXPECT_TRUE(has_list(second, list, 500));
}

TEST_P(ReadObjects, follow_pointers_when_writers_have_moved_away) {
  Arena arena = make_arena(nodes + 10);
  const Node* const list = make_list(arena, 100);
  const Snapshot snapshot = arena.snapshot();
  const View view = snapshot.view();
  make_list(arena, 500);
  const Snapshot moved = arena.snapshot();
  EXPECT_TRUE(has_list(snapshot, list, 100));
  EXPECT_TRUE(has_list(moved, list, 500));
}

TEST_P(ReadObjects, follow_pointers_when_the_arena_is_gone) {
  std::optional<Arena> arena = make_arena(nodes + 10);
  const Node* const list = make_list(*arena, 100);
  const Snapshot first = arena->snapshot();
  for (std::size_t i = 0; i < nodes; i += 3) node_at(*arena, i)->value = 0;
  make_list(*arena, 500);
  const Snapshot second = arena->snapshot();
  const std::byte* const base = arena->data();
  const std::size_t capacity = arena->capacity();
  arena.reset();
  EXPECT_TRUE(mappings_of(base, capacity).empty());  // it is not read where it was
  EXPECT_TRUE(has_list(first, list, 100));
  EXPECT_TRUE(has_list(second, list, 500));
}

TEST_P(ReadObjects, of_a_clone_are_at_the_clones_addresses) {
  Arena arena = make_arena(8);
  fill(arena, 2, 5);
  const Snapshot base = arena.snapshot();
  std::optional<Arena> clone = base.clone();
  const auto* const ours = reinterpret_cast<const std::uint64_t*>(page_at(arena, 2));
  const auto* const clones = reinterpret_cast<const std::uint64_t*>(page_at(*clone, 2));
  const Snapshot borrowed = clone->snapshot();
  fill(*clone, 2, 6);
  const Snapshot own = clone->snapshot();
  for (int gone = 0; gone < 2; ++gone) {
    EXPECT_EQ(base.read(ours), 5U);
    EXPECT_EQ(borrowed.read(clones), 5U);
    EXPECT_EQ(own.read(clones), 6U);
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)own.read(ours); }));
    EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)base.read(clones); }));
    clone.reset();
  }
}

TEST_P(ReadObjects, outside_of_the_arena_are_refused_with_its_size) {
  Arena arena = make_arena(4);
  fill_run(arena, 0, 4, 1);
  const Snapshot snapshot = arena.snapshot();
  const std::byte* const end = arena.data() + arena.capacity();
  const std::string size = std::to_string(arena.capacity()) + " bytes";
  const std::uint64_t elsewhere = 0;
  const auto word = [](const std::byte* at) { return reinterpret_cast<const std::uint64_t*>(at); };
  for (const auto* at : {word(end), word(end - 4), word(arena.data() - 8), word(end + page_size()), &elsewhere,
                         static_cast<const std::uint64_t*>(nullptr)}) {
    const auto thrown = throws_exactly<std::invalid_argument>([&] { (void)snapshot.read(at); });
    EXPECT_TRUE(thrown);
    const std::string message = thrown.message();
    EXPECT_NE(message.find(size), std::string::npos) << message;
    EXPECT_EQ(message.find("outside its arena") == std::string::npos, at == word(end - 4)) << message;
  }
  EXPECT_EQ(snapshot.read(word(end - 8)), 1U);
  EXPECT_EQ(snapshot.read(end - 1), std::byte{0});
}

TEST(ReadObjectsOf, an_empty_snapshot_are_refused) {
  const Arena arena;
  const auto* const at = reinterpret_cast<const std::uint64_t*>(arena.data());
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { (void)Snapshot().read(at); }));
  Bytes out(8);
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { Snapshot().read(0, out); }));
}

TEST_P(ReadObjects, of_pages_without_memory_take_none) {
  constexpr std::size_t pages = 512;
  std::optional<Arena> arena = make_arena(pages);
  fill_run(*arena, 0, 64, 1);
  arena->discard(page_at(*arena, 16), 32 * page_size());
  const Snapshot discarded = arena->snapshot();
  Bytes out(arena->capacity());
  const auto* const words = reinterpret_cast<const std::uint64_t*>(arena->data());
  for (int gone = 0; gone < 2; ++gone) {
    const std::uint64_t before = memory_file_bytes();
    EXPECT_EQ(discarded.read(words + 20 * words_in_page()), 0U);
    EXPECT_EQ(discarded.read(words + 300 * words_in_page()), 0U);
    discarded.read(0, out);
    for (std::size_t page = 0; page < pages; ++page)
      ASSERT_TRUE(filled(out.data() + page * page_size(), page < 16 || (page >= 48 && page < 64) ? 1 : 0)) << page;
    EXPECT_EQ(memory_file_bytes(), before);
    arena.reset();
  }
}

}  // namespace
}  // namespace cow::test

// What the heap's tests share: random numbers, blocks that know their content, and heaps that must be sound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/environment.hpp"

namespace cow::test {

inline constexpr std::size_t mib = std::size_t{1} << 20;

inline Arena arena_of(std::size_t bytes) {
  ArenaOptions options;
  options.capacity = bytes;
  options.name = "heap-test";
  return Arena(options);
}

/// xorshift64*: short sequences from any seed differ.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t operator()() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>((*this)() % bound); }

 private:
  std::uint64_t state_;
};

inline std::string text_of(const HeapReport& report) {
  std::string text;
  for (const std::string& problem : report.problems) text += problem + "\n";
  return text;
}

inline testing::AssertionResult is_sound(const Heap& heap) {
  const HeapReport report = heap.check();
  return report.ok() ? testing::AssertionSuccess() : testing::AssertionFailure() << text_of(report);
}

/// A block by its place in the arena, so that it can be looked up in clones, and what its bytes must be.
struct Block {
  std::size_t offset = 0;
  std::size_t bytes = 0;
  std::uint8_t value = 0;

  std::byte* in(const Arena& arena) const { return arena.data() + offset; }
};

inline Block allocate_block(Heap& heap, const Arena& arena, std::size_t bytes, std::uint8_t value) {
  auto* const at = static_cast<std::byte*>(heap.allocate(bytes));
  std::memset(at, value, bytes);
  return {static_cast<std::size_t>(at - arena.data()), bytes, value};
}

inline bool holds(const Arena& arena, const Block& block) {
  for (std::size_t i = 0; i < block.bytes; ++i) {
    if (block.in(arena)[i] != std::byte{block.value}) return false;
  }
  return true;
}

inline bool holds_all(const Arena& arena, const std::vector<Block>& blocks) {
  for (const Block& block : blocks) {
    if (!holds(arena, block)) return false;
  }
  return true;
}

/// The pages that differ from the snapshot.
inline std::size_t pages_changed(const Arena& arena, const Snapshot& since) {
  std::size_t count = 0;
  std::vector<std::byte> before(page_size());
  for (const PageRange& range : arena.changed_since(since)) {
    for (std::size_t page = range.first; page < range.first + range.count; ++page) {
      since.read(page * page_size(), before);
      if (std::memcmp(before.data(), arena.data() + page * page_size(), page_size()) != 0) ++count;
    }
  }
  return count;
}

}  // namespace cow::test

// What tests say about memory in pages: one value fills a page, a picture is one value for each page.
// Knows the public headers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"

namespace cow::test {

using Bytes = std::vector<std::byte>;
using Picture = std::vector<std::uint64_t>;  // the value that fills each page; 0 where never written

inline std::size_t words_in_page() { return page_size() / sizeof(std::uint64_t); }

inline std::byte* page_at(const Arena& arena, std::size_t page) { return arena.data() + page * page_size(); }
inline const std::byte* page_at(const View& view, std::size_t page) { return view.data() + page * page_size(); }

inline std::size_t page_count(const Arena& arena) { return arena.capacity() / page_size(); }

/// Fills the page with the value, word by word: each store is one that a snapshot may cut off.
inline void fill(const Arena& arena, std::size_t page, std::uint64_t value) {
  std::byte* const at = page_at(arena, page);
  for (std::size_t word = 0; word < words_in_page(); ++word)
    std::memcpy(at + word * sizeof value, &value, sizeof value);
}

inline void fill_run(const Arena& arena, std::size_t first, std::size_t count, std::uint64_t value) {
  for (std::size_t page = first; page < first + count; ++page) fill(arena, page, value);
}

/// The first word of a page: enough where the test writes nothing else.
inline void put_mark(const Arena& arena, std::size_t page, std::uint64_t value) {
  std::memcpy(page_at(arena, page), &value, sizeof value);
}

inline std::uint64_t mark_of(const std::byte* page) {
  std::uint64_t value = 0;
  std::memcpy(&value, page, sizeof value);
  return value;
}
inline std::uint64_t mark_of(const Arena& arena, std::size_t page) { return mark_of(page_at(arena, page)); }
inline std::uint64_t mark_of(const View& view, std::size_t page) { return mark_of(page_at(view, page)); }
inline std::uint64_t mark_of(const Snapshot& snapshot, std::size_t page) {
  std::uint64_t value = 0;
  snapshot.read(page * page_size(), std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

/// Whether every word of the page is the value.
inline testing::AssertionResult filled(const std::byte* page, std::uint64_t value) {
  for (std::size_t word = 0; word < words_in_page(); ++word) {
    const std::uint64_t found = mark_of(page + word * sizeof value);
    if (found != value)
      return testing::AssertionFailure() << "word " << word << " is " << found << ", expected " << value;
  }
  return testing::AssertionSuccess();
}

inline testing::AssertionResult memory_shows(const std::byte* memory, std::size_t size, const Picture& picture) {
  if (size != picture.size() * page_size())
    return testing::AssertionFailure() << size << " bytes, expected " << picture.size() << " pages";
  for (std::size_t page = 0; page < picture.size(); ++page)
    if (auto result = filled(memory + page * page_size(), picture[page]); !result)
      return testing::AssertionFailure() << "page " << page << ": " << result.message();
  return testing::AssertionSuccess();
}

inline testing::AssertionResult shows(const Arena& arena, const Picture& picture) {
  return memory_shows(arena.data(), arena.capacity(), picture);
}
inline testing::AssertionResult shows(const View& view, const Picture& picture) {
  return memory_shows(view.data(), view.size(), picture);
}
inline testing::AssertionResult shows(const Snapshot& snapshot, const Picture& picture) {
  Bytes bytes(snapshot.capacity());
  snapshot.read(0, bytes);
  return memory_shows(bytes.data(), bytes.size(), picture);
}

/// An arena and the picture that it must show: writes go to both.
class Painted {
 public:
  explicit Painted(Arena arena) : arena_(std::move(arena)), picture_(page_count(arena_), 0) {}
  Painted(Arena arena, Picture picture) : arena_(std::move(arena)), picture_(std::move(picture)) {}

  void paint(std::size_t page, std::uint64_t value) {
    fill(arena_, page, value);
    picture_[page] = value;
  }
  void paint_run(std::size_t first, std::size_t count, std::uint64_t value) {
    for (std::size_t page = first; page < first + count; ++page) paint(page, value);
  }

  Arena& arena() { return arena_; }
  const Picture& picture() const { return picture_; }
  void set_picture(const Picture& picture) { picture_ = picture; }
  testing::AssertionResult is_right() const { return shows(arena_, picture_); }

 private:
  Arena arena_;
  Picture picture_;
};

}  // namespace cow::test

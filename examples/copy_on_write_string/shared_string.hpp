// A string whose copies share its pages until one of them is written. Knows nothing of how it is measured.
#pragma once

#include <cow/arena.hpp>

#include <cstddef>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace copy_on_write_string {

/// Text in an arena of its own, from its first byte on. A copy is a clone of the arena: it costs the same whatever the
/// length, beside what seal() says. Empty until it is given room; it does not grow beyond that. Errors: as cow::Arena.
///
/// Thread safety: as a standard container, but that a copy may be taken while another thread writes: an atomic cut.
class SharedString {
 public:
  SharedString() = default;

  explicit SharedString(std::size_t room) {
    cow::ArenaOptions options;
    options.capacity = room;
    options.name = "string";
    arena_.emplace(options);
  }

  SharedString(const SharedString& other) : size_(other.size_) {
    if (other.arena_) arena_ = other.arena_->clone();
  }
  SharedString(SharedString&& other) noexcept
      : arena_(std::exchange(other.arena_, std::nullopt)), size_(std::exchange(other.size_, 0)) {}
  SharedString& operator=(SharedString other) noexcept {
    std::swap(arena_, other.arena_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedString() = default;

  std::size_t size() const noexcept { return size_; }
  const char* data() const noexcept { return arena_ ? reinterpret_cast<const char*>(arena_->data()) : nullptr; }
  std::string_view view() const noexcept { return {data(), size_}; }

  char operator[](std::size_t at) const noexcept { return data()[at]; }
  char& operator[](std::size_t at) noexcept { return reinterpret_cast<char*>(arena_->data())[at]; }

  /// Throws std::length_error where there is no room.
  void append(std::string_view text) {
    if (text.empty()) return;
    if (!arena_ || text.size() > arena_->capacity() - size_) throw std::length_error("SharedString: no room for more");
    arena_->prepare_write(arena_->data() + size_, text.size());  // one call instead of a fault for each few pages
    std::memcpy(arena_->data() + size_, text.data(), text.size());
    size_ += text.size();
  }

  /// Protects what was written since the last copy, as the next copy would have to: some 0.1 us for each page.
  void seal() {
    if (arena_) (void)arena_->snapshot();
  }

  /// What the arena counts about itself; throws std::logic_error for a string that was never given room.
  cow::ArenaStats stats() const {
    if (!arena_) throw std::logic_error("SharedString: it has no arena yet");
    return arena_->stats();
  }

 private:
  mutable std::optional<cow::Arena> arena_;  // mutable: a clone changes what the arena's books say, not its content
  std::size_t size_ = 0;
};

}  // namespace copy_on_write_string

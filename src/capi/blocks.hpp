// One piece of memory for the caller to free, with all that a result leads to.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

namespace cow::capi {

/// What a list takes in a Block.
template <class Element>
constexpr std::size_t room_for(std::size_t count) noexcept {
  constexpr std::size_t unit = alignof(std::max_align_t);
  return (count * sizeof(Element) + unit - 1) / unit * unit;
}

/// By malloc, since cow_free() is for all of them.
class Block {
 public:
  explicit Block(std::size_t bytes) : begin_(static_cast<std::byte*>(std::calloc(1, bytes))), next_(begin_) {
    if (begin_ == nullptr) throw std::bad_alloc();
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { std::free(begin_); }

  /// A copy of the list, behind what was put before.
  template <class Element, std::size_t extent>
  auto* put(std::span<Element, extent> list) noexcept {
    using Copied = std::remove_const_t<Element>;
    static_assert(std::is_trivially_copyable_v<Copied>);
    auto* const copy = reinterpret_cast<Copied*>(next_);
    if (!list.empty()) std::memcpy(static_cast<void*>(copy), list.data(), list.size_bytes());
    next_ += room_for<Copied>(list.size());
    return copy;
  }

  /// It is the caller's now.
  void release() noexcept { begin_ = nullptr; }

 private:
  std::byte* begin_;
  std::byte* next_;
};

}  // namespace cow::capi

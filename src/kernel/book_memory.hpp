// Memory for the books. It comes from the kernel directly, never from operator new, which a program may
// have placed inside an arena. Growing asks the kernel and can fail; nothing here throws.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "kernel/os.hpp"

namespace cow {

/// Zero-filled memory that costs nothing until touched.
class BookBuffer {
 public:
  BookBuffer() noexcept = default;
  BookBuffer(BookBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  BookBuffer& operator=(BookBuffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~BookBuffer() {
    if (data_ != nullptr) os::unmap(data_, bytes_);
  }

  static os::Result<BookBuffer> reserve(std::size_t bytes) noexcept {
    const os::Result<void*> got = os::reserve_books(bytes);
    BookBuffer buffer;
    if (got) buffer.data_ = static_cast<std::byte*>(got.value), buffer.bytes_ = bytes;
    return {std::move(buffer), got.error};
  }

  /// Keeps the content; moves it.
  os::Error grow(std::size_t bytes) noexcept {
    const os::Result<void*> got = data_ == nullptr ? os::reserve_books(bytes) : os::grow_books(data_, bytes_, bytes);
    if (!got) return got.error;
    data_ = static_cast<std::byte*>(got.value), bytes_ = bytes;
    return {};
  }

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A vector of plain values whose growth reports failure instead of throwing.
template <class T>
class BookVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  BookVector() noexcept = default;
  BookVector(BookVector&& other) noexcept : buffer_(std::move(other.buffer_)), size_(std::exchange(other.size_, 0)) {}
  BookVector& operator=(BookVector other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(size_, other.size_);
    return *this;
  }

  os::Error make_room(std::size_t more) noexcept {
    const std::size_t needed = (size_ + more) * sizeof(T);
    if (needed <= buffer_.size()) return {};
    std::size_t bytes = buffer_.size() == 0 ? os::page_size() : buffer_.size();
    while (bytes < needed) bytes *= 2;
    return buffer_.grow(bytes);
  }

  os::Error push_back(const T& value) noexcept {
    if (const os::Error error = make_room(1)) return error;
    append(value);
    return {};
  }

  /// After make_room().
  void append(const T& value) noexcept { ::new (static_cast<void*>(data() + size_++)) T(value); }
  void shrink_to(std::size_t size) noexcept { size_ = size; }
  void clear() noexcept { size_ = 0; }
  /// Keeps its memory only where that is no more than `bytes`.
  void clear_up_to(std::size_t bytes) noexcept {
    size_ = 0;
    if (buffer_.size() > bytes) buffer_ = BookBuffer();
  }

  T* data() const noexcept { return reinterpret_cast<T*>(buffer_.data()); }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity_bytes() const noexcept { return buffer_.size(); }
  /// How much of it has memory: what was never filled has none.
  std::size_t resident_bytes() const noexcept {
    const std::size_t page = os::page_size();
    return std::min(buffer_.size(), (size_ * sizeof(T) + page - 1) / page * page);
  }
  bool empty() const noexcept { return size_ == 0; }
  T* begin() const noexcept { return data(); }
  T* end() const noexcept { return data() + size_; }
  T& operator[](std::size_t i) const noexcept { return data()[i]; }
  T& back() const noexcept { return data()[size_ - 1]; }
  std::span<const T> span() const noexcept { return {data(), size_}; }

 private:
  BookBuffer buffer_;
  std::size_t size_ = 0;
};

/// An object in memory of its own; delete it with book_delete().
template <class T, class... A>
os::Result<T*> book_new(A&&... arguments) noexcept {
  const os::Result<void*> memory = os::reserve_books(sizeof(T));
  if (!memory) return {nullptr, memory.error};
  return {::new (memory.value) T(std::forward<A>(arguments)...), {}};
}

template <class T>
void book_delete(T* object) noexcept {
  object->~T();
  os::unmap(object, sizeof(T));
}

}  // namespace cow

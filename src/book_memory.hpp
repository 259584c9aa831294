// Layer 1: memory for the books. It comes from the kernel directly, never from operator new, which a program may
// have placed inside an arena. Growing asks the kernel and can fail; nothing here throws.
#pragma once

#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "os.hpp"

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

  T* data() const noexcept { return reinterpret_cast<T*>(buffer_.data()); }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity_bytes() const noexcept { return buffer_.size(); }
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

/// Hands out memory for objects of one size and takes it back; gives all to the kernel when it goes. Not locked.
template <std::size_t ObjectBytes>
class Slab {
 public:
  Slab() noexcept = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    while (!batches_.empty()) {
      Batch* batch = &batches_.front();
      batches_.pop_front();
      os::unmap(batch, batch->bytes);
    }
  }

  /// Makes sure that the next `count` calls of take() succeed.
  os::Error make_room(std::size_t count) noexcept {
    while (free_count_ < count) {
      if (const os::Error error = grow()) return error;
    }
    return {};
  }

  /// After make_room().
  void* take() noexcept {
    Free* slot = &free_.front();
    free_.pop_front();
    --free_count_;
    slot->~Free();
    return slot;
  }

  void give_back(void* object) noexcept {
    free_.push_front(*::new (object) Free);
    ++free_count_;
  }

  std::size_t bytes_used() const noexcept { return (capacity_ - free_count_) * stride; }

 private:
  using Hook = boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;
  struct Free : Hook {};
  struct Batch : Hook {
    std::size_t bytes = 0;
  };
  static constexpr std::size_t alignment = alignof(std::max_align_t);
  static constexpr std::size_t stride = (ObjectBytes + alignment - 1) / alignment * alignment;
  static_assert(stride >= sizeof(Free));
  static constexpr std::size_t smallest_batch = 16 * 1024, largest_batch = 1024 * 1024;

  os::Error grow() noexcept {
    std::size_t bytes = bytes_reserved_ < smallest_batch ? smallest_batch : bytes_reserved_;
    if (bytes > largest_batch) bytes = largest_batch;
    const os::Result<void*> got = os::reserve_books(bytes);
    if (!got) return got.error;
    Batch* batch = ::new (got.value) Batch;
    batch->bytes = bytes;
    batches_.push_front(*batch);
    bytes_reserved_ += bytes;
    std::byte* const base = static_cast<std::byte*>(got.value);
    const std::size_t first = (sizeof(Batch) + alignment - 1) / alignment * alignment;
    for (std::size_t at = first + (bytes - first) / stride * stride; at != first; at -= stride) {
      give_back(base + at - stride);
    }
    capacity_ += (bytes - first) / stride;
    return {};
  }

  boost::intrusive::slist<Free, boost::intrusive::constant_time_size<false>> free_;
  boost::intrusive::slist<Batch, boost::intrusive::constant_time_size<false>> batches_;
  std::size_t free_count_ = 0, capacity_ = 0;
  std::size_t bytes_reserved_ = 0;
};

}  // namespace cow

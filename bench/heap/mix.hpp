// The work that all heaps are measured with: blocks of 16 to 512 bytes, 200,000 of them alive, freed in random order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "memory.hpp"

namespace cow::bench {

inline constexpr std::size_t live_blocks = 200'000;

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint32_t operator()() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 16);
  }

 private:
  std::uint64_t state_;
};

/// A set of live blocks in one heap. Its own table is not in that heap.
template <class Allocator>
class Mix {
 public:
  Mix(Allocator& heap, std::size_t live, std::uint64_t seed)
      : heap_(heap),
        live_(live),
        random_(seed),
        table_(live * sizeof(Entry)),
        entries_(reinterpret_cast<Entry*>(table_.data())) {
    for (std::size_t i = 0; i < live_; ++i) fill(entries_[i]);
  }
  ~Mix() {
    for (std::size_t i = 0; i < live_; ++i) heap_.deallocate(entries_[i].block, entries_[i].bytes);
  }
  Mix(const Mix&) = delete;
  Mix& operator=(const Mix&) = delete;

  /// Two operations: frees a random block, allocates one in its place and writes its first word.
  void replace_one() {
    Entry& entry = random_entry();
    heap_.deallocate(entry.block, entry.bytes);
    entry.bytes = random_size();
    entry.block = heap_.allocate(entry.bytes);
    std::memcpy(entry.block, &entry.bytes, sizeof entry.bytes);
  }

  /// The same, writing the whole block with a value that was not there before.
  void replace_and_write_one() {
    Entry& entry = random_entry();
    heap_.deallocate(entry.block, entry.bytes);
    fill(entry);
  }

  std::size_t live_bytes() const {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < live_; ++i) bytes += entries_[i].bytes;
    return bytes;
  }

  /// Whether all blocks written whole are as they were left: a heap that is fast and wrong is not measured.
  bool is_right() const {
    for (std::size_t i = 0; i < live_; ++i) {
      const auto* const bytes = static_cast<const unsigned char*>(entries_[i].block);
      for (std::size_t at = 0; at < entries_[i].bytes; ++at) {
        if (bytes[at] != entries_[i].value) return false;
      }
    }
    return true;
  }

 private:
  struct Entry {
    void* block;
    std::uint32_t bytes;
    unsigned char value;
  };

  std::uint32_t random_size() { return 16 + random_() % 497; }
  Entry& random_entry() { return entries_[(std::uint64_t{random_()} * live_) >> 32]; }

  void fill(Entry& entry) {
    entry.bytes = random_size();
    entry.block = heap_.allocate(entry.bytes);
    entry.value = static_cast<unsigned char>(random_() | 1);
    std::memset(entry.block, entry.value, entry.bytes);
  }

  Allocator& heap_;
  std::size_t live_;
  Random random_;
  Buffer table_;
  Entry* entries_;
};

}  // namespace cow::bench

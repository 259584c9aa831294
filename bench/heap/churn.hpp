// The work of programs whose threads come and go with their data: blocks of all sizes up to 4 MiB, passed between
// threads, and freed all at once at the end of a job. What a heap gives back too early it must fetch again here.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "memory.hpp"
#include "mix.hpp"

namespace cow::bench {

/// Blocks on their way from one thread to another. Each begins with its size.
class Exchange {
 public:
  /// Leaves a block there and takes the one that was there, or nullptr.
  void* swap(std::size_t place, void* block) noexcept {
    return places_[place % places_.size()].exchange(block, std::memory_order_acq_rel);
  }
  static constexpr std::size_t size() noexcept { return 64; }

 private:
  std::array<std::atomic<void*>, 64> places_{};
};

/// One thread's blocks. A job is a number of replacements, at whose end the thread frees nearly all that it has.
template <class Allocator>
class Churn {
 public:
  Churn(Allocator& heap, Exchange& exchange, std::uint64_t seed)
      : heap_(heap), exchange_(exchange), random_(seed), table_(slots * sizeof(void*)) {
    blocks_ = reinterpret_cast<void**>(table_.data());
  }
  ~Churn() {
    for (std::size_t i = 0; i < slots; ++i) release(blocks_[i]);
  }
  Churn(const Churn&) = delete;
  Churn& operator=(const Churn&) = delete;

  /// Two operations: frees a random block, or one that another thread has left, and allocates one in its place.
  void replace_one() {
    if (++done_ % job == 0) finish_job();
    void*& slot = blocks_[random_() % slots];
    if (random_() % 8 == 0) slot = exchange_.swap(random_(), slot);
    release(slot);
    slot = make(random_size());
  }

  void fill() {
    for (std::size_t i = 0; i < slots; ++i) {
      if (blocks_[i] == nullptr) blocks_[i] = make(random_size());
    }
  }

  std::size_t live_bytes() const {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < slots; ++i) bytes += blocks_[i] == nullptr ? 0 : size_of(blocks_[i]);
    return bytes;
  }

  bool is_right() const noexcept { return right_; }

  void release(void* block) noexcept {
    if (block == nullptr) return;
    const std::size_t bytes = size_of(block);
    std::size_t last = 0;
    std::memcpy(&last, static_cast<std::byte*>(block) + bytes - sizeof last, sizeof last);
    if (last != bytes) right_ = false;
    heap_.deallocate(block, bytes);
  }

 private:
  static constexpr std::size_t slots = 1'000, job = 20'000, kept_after_job = 50;

  /// Nine of ten blocks below 8 KiB, one of a hundred beyond 256 KiB; within each part, each doubling is as likely.
  std::size_t random_size() {
    const std::uint32_t part = random_() % 100;
    if (part < 90) return log_uniform(4, 13);
    return part < 99 ? log_uniform(13, 18) : log_uniform(18, 22);
  }
  std::size_t log_uniform(unsigned from, unsigned to) {
    const std::size_t least = std::size_t{1} << (from + random_() % (to - from));
    return least + random_() % least;
  }

  /// Writes a word of each page, as whoever asked for the memory would.
  void* make(std::size_t bytes) {
    auto* const block = static_cast<std::byte*>(heap_.allocate(bytes));
    for (std::size_t at = 0; at + sizeof bytes <= bytes; at += page_size()) {
      std::memcpy(block + at, &bytes, sizeof bytes);
    }
    std::memcpy(block + bytes - sizeof bytes, &bytes, sizeof bytes);
    return block;
  }

  void finish_job() {
    for (std::size_t i = kept_after_job; i < slots; ++i) {
      release(blocks_[i]);
      blocks_[i] = nullptr;
    }
  }

  static std::size_t size_of(const void* block) noexcept {
    std::size_t bytes = 0;
    std::memcpy(&bytes, block, sizeof bytes);
    return bytes;
  }

  Allocator& heap_;
  Exchange& exchange_;
  Random random_;
  Buffer table_;
  void** blocks_ = nullptr;
  std::size_t done_ = 0;
  bool right_ = true;
};

}  // namespace cow::bench

// Threads for tests about races: they start together, run until told to stop, and are joined. Words in arenas are
// stored and loaded atomically, so that the only races are those that the test is about.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "cow/cow.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {

inline void store_word(std::byte* at, std::uint64_t value) {
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at)).store(value, std::memory_order_relaxed);
}
inline std::uint64_t load_word(std::byte* at) {
  return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at)).load(std::memory_order_relaxed);
}
inline void add_to_word(std::byte* at, std::uint64_t value) {
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at)).fetch_add(value, std::memory_order_relaxed);
}

/// How long a race is kept up by default.
inline constexpr std::chrono::milliseconds race_time{under_sanitizer ? 1200 : 500};

/// True until the time is over. Asks the clock only.
class Until {
 public:
  explicit Until(std::chrono::milliseconds time = race_time) : end_(std::chrono::steady_clock::now() + time) {}
  explicit operator bool() const { return std::chrono::steady_clock::now() < end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

class Team {
 public:
  Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team() { stop(); }

  /// Calls the step again and again until stop().
  void keep_doing(std::function<void()> step) {
    threads_.emplace_back([this, step = std::move(step)] {
      while (!stopped_.load(std::memory_order_acquire)) step();
    });
  }
  /// Calls the step once for each index, on a thread for each, and waits for all of them.
  static void all_at_once(std::size_t count, const std::function<void(std::size_t)>& step) {
    std::atomic<std::size_t> waiting{count};
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < count; ++index)
      threads.emplace_back([&, index] {
        waiting.fetch_sub(1);
        while (waiting.load() != 0) std::this_thread::yield();
        step(index);
      });
    for (std::thread& thread : threads) thread.join();
  }
  bool is_stopped() const { return stopped_.load(std::memory_order_acquire); }
  void stop() {
    stopped_.store(true, std::memory_order_release);
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> threads_;
};

}  // namespace cow::test

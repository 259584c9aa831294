// The threads that write pages together, started once and kept. Measures nothing.
#pragma once

#include <barrier>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "competitors/competitor.hpp"

namespace bench {

/// Stores one value into each page of a list; each thread takes a slice. Threads are never pinned: they
/// would share a core where the machine has fewer.
class Writers {
 public:
  explicit Writers(unsigned threads) : threads_(threads), start_(threads), finish_(threads) {
    for (unsigned i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
  }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;
  ~Writers() {
    base_ = nullptr;
    if (threads_ > 1) start_.arrive_and_wait();
  }

  void write(std::byte* base, std::span<const Page> pages, std::uint64_t value) {
    if (threads_ == 1) return store(base, pages, value);
    base_ = base;
    pages_ = pages;
    value_ = value;
    start_.arrive_and_wait();
    store(base_, slice(0), value_);
    finish_.arrive_and_wait();
  }

 private:
  static void store(std::byte* base, std::span<const Page> pages, std::uint64_t value) {
    for (const Page page : pages) store_word(base, page, value);
  }

  std::span<const Page> slice(std::size_t thread) const {
    const std::size_t first = pages_.size() * thread / threads_;
    return pages_.subspan(first, pages_.size() * (thread + 1) / threads_ - first);
  }

  void help(unsigned thread) {
    for (;;) {
      start_.arrive_and_wait();
      if (base_ == nullptr) return;
      store(base_, slice(thread), value_);
      finish_.arrive_and_wait();
    }
  }

  unsigned threads_;
  std::barrier<> start_, finish_;
  std::byte* base_ = nullptr;
  std::span<const Page> pages_;
  std::uint64_t value_ = 0;
  std::vector<std::jthread> helpers_;
};

}  // namespace bench

// Who writes beside a fork(), and what its child may see of that.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "support/pages.hpp"
#include "support/threads.hpp"

namespace cow::test {

/// A thread that fills its pages again and again, each time with the next number, and says outside of the arena when it
/// begins and when it is done.
struct Writer {
  static constexpr std::size_t pages = 24;

  void write_round(std::byte* memory) {
    const std::uint64_t number = begun.load() + 1;
    begun.store(number);
    for (std::size_t page = 0; page < pages; ++page)
      for (std::size_t word = 0; word < words_in_page(); ++word) {
        store_word(memory + page * page_size() + word * sizeof number, number);
      }
    done.store(number);
  }

  /// What memory shows at a cut: a round that was begun, up to some word; the round before it in the rest. None that
  /// was done is missing; none that was not begun is there. 0 if so, else what is wrong.
  int check(std::byte* memory) const {
    std::uint64_t last = load_word(memory);
    if (last > begun.load()) return 1;
    bool stepped = false;
    for (std::size_t word = 0; word < pages * words_in_page(); ++word) {
      const std::uint64_t found = load_word(memory + word * sizeof found);
      if (found == last) continue;
      if (stepped || found + 1 != last) return 2;
      stepped = true;
      last = found;
    }
    return last < done.load() ? 3 : 0;
  }

  std::atomic<std::uint64_t> begun{0}, done{0};
};

}  // namespace cow::test

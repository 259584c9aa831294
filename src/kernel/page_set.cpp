// The bitmap and its summaries. Runs in the signal handler: no allocation, no locks.
#include "kernel/page_set.hpp"

#include <algorithm>
#include <bit>

namespace cow {
namespace {

constexpr std::uint64_t words_for(std::uint64_t bits) noexcept { return (bits + 63) / 64; }

/// The bits [from, to) of a word.
constexpr std::uint64_t mask_of(std::uint64_t from, std::uint64_t to) noexcept {
  const std::uint64_t up_to = to == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << to) - 1;
  return up_to & ~((std::uint64_t{1} << from) - 1);
}

/// Calls f(word, mask) for each word that a run touches.
template <class F>
void for_each_word(Pages run, F&& f) noexcept {
  std::uint64_t at = run.first.value;
  const std::uint64_t end = run.end().value;
  while (at < end) {
    const std::uint64_t word = at / 64;
    const std::uint64_t stop = end < (word + 1) * 64 ? end - word * 64 : 64;
    f(word, mask_of(at % 64, stop));
    at = word * 64 + stop;
  }
}

}  // namespace

std::size_t PageSet::bytes_for(std::uint64_t pages) noexcept {
  std::uint64_t words = 0;
  for (std::uint64_t bits = pages, level = 0; level < level_count; ++level, bits = words_for(bits)) {
    words += words_for(bits);
  }
  return words * sizeof(std::uint64_t);
}

PageSet::PageSet(std::byte* memory, std::uint64_t pages) noexcept : pages_(pages) {
  std::uint64_t* words = reinterpret_cast<std::uint64_t*>(memory);
  std::uint64_t bits = pages;
  for (int level = 0; level < level_count; ++level) {
    levels_[level] = words;
    bits_[level] = bits;
    bits = words_for(bits);
    words += bits;
  }
}

void PageSet::set_bits(int level, std::uint64_t word, std::uint64_t mask) noexcept {
  for (; level < level_count; ++level) {
    std::atomic_ref<std::uint64_t> bits(levels_[level][word]);
    const std::uint64_t old = bits.load(std::memory_order_relaxed);
    bits.store(old | mask, std::memory_order_relaxed);
    if (old != 0) return;
    mask = std::uint64_t{1} << (word % 64);
    word /= 64;
  }
}

void PageSet::clear_bits(int level, std::uint64_t word, std::uint64_t mask) noexcept {
  for (; level < level_count; ++level) {
    std::atomic_ref<std::uint64_t> bits(levels_[level][word]);
    const std::uint64_t left = bits.load(std::memory_order_relaxed) & ~mask;
    bits.store(left, std::memory_order_relaxed);
    if (left != 0) return;
    mask = std::uint64_t{1} << (word % 64);
    word /= 64;
  }
}

void PageSet::insert(Pages run) noexcept {
  for_each_word(run, [this](std::uint64_t word, std::uint64_t mask) {
    count_ += static_cast<std::uint64_t>(std::popcount(mask & ~levels_[0][word]));
    set_bits(0, word, mask);
  });
}

void PageSet::erase(Pages run) noexcept {
  for_each_word(run, [this](std::uint64_t word, std::uint64_t mask) {
    const std::uint64_t members = mask & levels_[0][word];
    if (members == 0) return;
    count_ -= static_cast<std::uint64_t>(std::popcount(members));
    clear_bits(0, word, mask);
  });
}

void PageSet::clear() noexcept {
  for (const Pages run : runs()) erase(run);
}

std::uint64_t PageSet::next_bit(int level, std::uint64_t from) const noexcept {
  // Looks in the word of `from`, then asks the level above for the next word that has any.
  while (from < bits_[level]) {
    const std::uint64_t word = from / 64;
    const std::uint64_t rest = levels_[level][word] & mask_of(from % 64, 64);
    if (rest != 0) return word * 64 + static_cast<std::uint64_t>(std::countr_zero(rest));
    if (level + 1 == level_count) {
      from = (word + 1) * 64;
      continue;
    }
    const std::uint64_t next_word = next_bit(level + 1, word + 1);
    if (next_word >= bits_[level + 1]) break;
    from = next_word * 64;
  }
  return bits_[level];
}

std::uint64_t PageSet::end_of_bits(int level, std::uint64_t limit) const noexcept {
  while (limit != 0) {
    const std::uint64_t word = (limit - 1) / 64;
    const std::uint64_t before = levels_[level][word] & mask_of(0, limit - word * 64);
    if (before != 0) return (word + 1) * 64 - static_cast<std::uint64_t>(std::countl_zero(before));
    limit = 64 * (level + 1 == level_count ? word : end_of_bits(level + 1, word));
  }
  return 0;
}

Page PageSet::end_before(Page limit) const noexcept { return {end_of_bits(0, std::min(limit.value, pages_))}; }

Page PageSet::next(Page from) const noexcept { return {from.value >= pages_ ? pages_ : next_bit(0, from.value)}; }

Page PageSet::next_absent(Page from, Page limit) const noexcept {
  std::uint64_t at = from.value;
  while (at < limit.value) {
    const std::uint64_t word = at / 64;
    const std::uint64_t absent = ~levels_[0][word] & mask_of(at % 64, 64);
    if (absent != 0) {
      const std::uint64_t found = word * 64 + static_cast<std::uint64_t>(std::countr_zero(absent));
      return {found < limit.value ? found : limit.value};
    }
    at = (word + 1) * 64;
  }
  return limit;
}

Pages PageSet::next_run(Page from) const noexcept {
  const Page first = next(from);
  if (first == end()) return {first, 0};
  return {first, next_absent(first) - first};
}

}  // namespace cow

// Promise: counts of pages agree with a plain list of numbers, whichever runs are added, and taken off in other parts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/page_counts.hpp"
#include "support/environment.hpp"

namespace cow::test {
namespace {

TEST(PageCountsOf, runs_agree_with_a_plain_list) {
  const std::uint64_t seed = seed_or(1);
  SCOPED_TRACE("COW_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const std::uint64_t pages : {1U, 63U, 64U, 65U, 128U, 4096U, 4097U, 300'000U}) {
    std::vector<std::byte> memory(PageCounts::bytes_for(pages));
    PageCounts counts(memory.data(), pages);
    std::vector<std::uint32_t> plain(pages, 0);
    for (int step = 0; step < 300; ++step) {
      const std::uint64_t first = random() % pages;
      const std::uint64_t longest = random() % 4 == 0 ? pages - first : std::min<std::uint64_t>(pages - first, 70);
      const std::uint64_t count = 1 + random() % longest;
      const bool any_zero = std::count(plain.begin() + static_cast<std::ptrdiff_t>(first),
                                       plain.begin() + static_cast<std::ptrdiff_t>(first + count), 0U) != 0;
      const bool more = any_zero || random() % 3 == 0;
      more ? counts.add({{first}, count}) : counts.take_off({{first}, count});
      for (std::uint64_t i = first; i < first + count; ++i) plain[i] += more ? 1U : ~0U;
      for (const std::uint64_t at : {first, first + count - 1, std::min(first + count, pages - 1), random() % pages}) {
        ASSERT_EQ(counts.of({at}), plain[at]) << pages << ' ' << step << ' ' << at;
      }
    }
    for (std::uint64_t p = 0; p < pages; ++p) ASSERT_EQ(counts.of({p}), plain[p]) << pages << ' ' << p;
  }
}

}  // namespace
}  // namespace cow::test

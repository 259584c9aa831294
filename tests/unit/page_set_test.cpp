// Promise: a set of pages, its summaries and what is asked of them agree with a plain list, whatever comes and goes.
#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/page_set.hpp"
#include "support/environment.hpp"

namespace cow::test {
namespace {

/// The same by a list of booleans.
class PlainSet {
 public:
  explicit PlainSet(std::size_t pages) : members_(pages) {}

  void put(Pages run, bool member) {
    std::fill_n(members_.begin() + static_cast<std::ptrdiff_t>(run.first.value), run.count, member);
  }
  std::uint64_t next(std::uint64_t from, bool member) const {
    while (from < members_.size() && members_[from] != member) ++from;
    return from;
  }
  std::uint64_t end_before(std::uint64_t limit) const {
    while (limit != 0 && !members_[limit - 1]) --limit;
    return limit;
  }
  std::uint64_t count() const { return static_cast<std::uint64_t>(std::count(members_.begin(), members_.end(), true)); }

 private:
  std::vector<bool> members_;
};

void expect_same(const PageSet& set, const PlainSet& plain, std::uint64_t at) {
  ASSERT_EQ(set.next({at}).value, plain.next(at, true)) << at;
  ASSERT_EQ(set.next_absent({at}).value, plain.next(at, false)) << at;
  ASSERT_EQ(set.end_before({at}).value, plain.end_before(at)) << at;
  ASSERT_EQ(set.count(), plain.count());
}

TEST(PageSets, agree_with_a_plain_list) {
  const std::uint64_t seed = seed_or(1);
  SCOPED_TRACE("COW_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const std::uint64_t pages : {1U, 63U, 64U, 65U, 4096U, 4097U, 300'000U}) {
    std::vector<std::byte> memory(PageSet::bytes_for(pages));
    PageSet set(memory.data(), pages);
    PlainSet plain(pages);
    for (int step = 0; step < 200; ++step) {
      const std::uint64_t first = random() % pages;
      const std::uint64_t longest = random() % 4 == 0 ? pages - first : std::min<std::uint64_t>(pages - first, 70);
      const Pages run{{first}, 1 + random() % longest};
      const bool member = random() % 3 == 0;
      member ? set.insert(run) : set.erase(run);
      plain.put(run, member);
      expect_same(set, plain, random() % (pages + 1));
      expect_same(set, plain, pages);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace cow::test

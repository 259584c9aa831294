// The cost of keeping what a clone did: what differs, adopting it, merging it, against memcmp() and memcpy() of the
// whole arena and of just the pages. Interleaved, and medians. Arguments: the number of rounds, and MiB of the arena.
#include <cow/cow.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <system_error>
#include <string_view>
#include <vector>

#include "measure.hpp"
#include "merge/granules.hpp"

namespace {

using bench::Stopwatch;

constexpr std::size_t written = 1'000, shared = 100;  // pages that each side writes, and that both do

const std::size_t page = cow::page_size();

volatile int comparison;  // what is compared is not left out
volatile std::uint64_t counted;

/// Medians by row, in the order in which rows were first measured.
class Rows {
 public:
  void add(const std::string& name, double ns) {
    for (Row& row : rows_) {
      if (row.name == name) return row.ns.push_back(ns);
    }
    rows_.push_back({name, {ns}});
  }
  double of(const std::string& name) const {
    for (const Row& row : rows_) {
      if (row.name == name) return bench::median(row.ns);
    }
    return 0;
  }
  void print() const {
    for (const Row& row : rows_) std::printf("%-64s %12.3f us\n", row.name.c_str(), bench::median(row.ns) / 1e3);
  }

 private:
  struct Row {
    std::string name;
    std::vector<double> ns;
  };
  std::vector<Row> rows_;
};

/// Uniform, disjoint sets of pages, others in each round.
class Pages {
 public:
  explicit Pages(std::size_t pages) : all_(pages) {
    for (std::size_t i = 0; i < pages; ++i) all_[i] = i;
  }
  /// The first `written` are one side's; the other's are from `written - shared` on.
  const std::size_t* next() {
    const std::size_t wanted = std::min(all_.size(), 2 * written);
    for (std::size_t i = 0; i < wanted; ++i) std::swap(all_[i], all_[i + random_() % (all_.size() - i)]);
    return all_.data();
  }

 private:
  std::vector<std::size_t> all_;
  std::mt19937_64 random_{1};
};

/// A word of each page; two sides write different ones.
void write(const cow::Arena& arena, const std::size_t* pages, std::size_t word, std::uint64_t value) {
  for (std::size_t i = 0; i < written; ++i) {
    std::memcpy(arena.data() + pages[i] * page + 8 * word, &value, sizeof value);
  }
}

void copying(Rows& rows, const cow::Arena& arena, const std::byte* copy, const std::size_t* pages) {
  static std::vector<std::byte> to(written * page);
  Stopwatch watch;
  for (std::size_t i = 0; i < written; ++i) std::memcpy(to.data() + i * page, arena.data() + pages[i] * page, page);
  rows.add("memcpy of 1,000 scattered pages", watch.lap_ns());
  int differ = 0;
  for (std::size_t i = 0; i < written; ++i) {
    differ += std::memcmp(copy + pages[i] * page, arena.data() + pages[i] * page, page) != 0 ? 1 : 0;
  }
  rows.add("memcmp of 1,000 scattered pages", watch.lap_ns());
  comparison = differ;
}

void whole(Rows& rows, const cow::Arena& arena, std::byte* copy) {
  Stopwatch watch;
  std::memcpy(copy, arena.data(), arena.capacity());
  rows.add("memcpy of the whole", watch.lap_ns());
  comparison = std::memcmp(copy, arena.data(), arena.capacity());
  rows.add("memcmp of the whole", watch.lap_ns());
}

void difference(Rows& rows, cow::Arena& arena, const std::size_t* pages, std::uint64_t value) {
  const cow::Snapshot first = arena.snapshot();
  write(arena, pages, 1, value);
  const cow::Snapshot second = arena.snapshot();
  Stopwatch watch;
  std::size_t found = cow::changed_between(first, second).size();
  rows.add("changed_between, one arena, 1,000 pages", watch.lap_ns());
  cow::for_each_difference(first, second, [&](const cow::Difference&) { ++found; }, 8);
  rows.add("for_each_difference, one arena, 1,000 pages", watch.lap_ns());
  cow::Arena one = second.clone(), other = second.clone();
  write(one, pages, 2, value);
  const cow::Snapshot a = one.snapshot(), b = other.snapshot();
  watch.lap_ns();
  found += cow::changed_between(a, b).size();
  rows.add("changed_between, two clones, 1,000 pages", watch.lap_ns());
  found += cow::changed_between(second, a).size();
  rows.add("changed_between, arena and clone, 1,000 pages", watch.lap_ns());
  if (found == 0) std::abort();
}

void adoption(Rows& rows, cow::Arena& arena, const std::size_t* pages, std::uint64_t value) {
  const cow::Snapshot base = arena.snapshot();
  cow::Arena clone = base.clone();
  write(clone, pages, 3, value);
  Stopwatch watch;
  const cow::Snapshot result = clone.snapshot();
  rows.add("snapshot of the clone", watch.lap_ns());
  arena.adopt(result);
  rows.add("adopt, 1,000 pages", watch.lap_ns());
}

void merging(Rows& rows, cow::Arena& arena, const std::size_t* pages, std::uint64_t value) {
  const cow::Snapshot base = arena.snapshot();
  cow::Arena clone = base.clone();
  write(arena, pages, 4, value);
  write(clone, pages + written - shared, 5, value);
  const cow::Snapshot theirs = clone.snapshot();
  Stopwatch watch;
  const cow::MergeReport report = cow::merge(arena, base, theirs);
  rows.add("merge, 1,000 pages each, 100 the same", watch.lap_ns());
  if (report.pages_taken != written - shared || report.pages_merged != shared) std::abort();
}

/// One page that both sides changed, and one that one side did, against the C library; from memory, not from the cache.
void pages_alone(Rows& rows) {
  constexpr std::size_t count = 16'384;
  static std::vector<std::byte> sides[4];
  for (std::vector<std::byte>& side : sides) side.resize(count * page, std::byte{1});
  for (std::size_t i = 0; i < count; ++i) {
    sides[0][i * page + 100] = std::byte{2};
    for (std::size_t at = 256; at < page; at += 512) sides[2][i * page + at] = std::byte{3};
  }
  const auto each = [&](const char* name, auto&& f) {
    Stopwatch watch;
    for (std::size_t i = 0; i < count; ++i) f(i * page);
    rows.add(name, watch.lap_ns() / count);
  };
  each("a page: memcmp of two", [&](std::size_t at) { comparison = std::memcmp(&sides[1][at], &sides[3][at], page); });
  each("a page: memcpy", [&](std::size_t at) { std::memcpy(&sides[3][at], &sides[1][at], page); });
  each("a page: merged of three sides by granules of 8", [&](std::size_t at) {
    comparison = cow::merge_granules({&sides[0][at], &sides[1][at], &sides[2][at], page}, 8, false, &sides[3][at]);
  });
  each("a page: taken whole, changed by one side", [&](std::size_t at) {
    comparison = std::memcmp(&sides[2][at], &sides[1][at], page);
    counted = cow::count_different(&sides[1][at], &sides[2][at], page);
    std::memcpy(&sides[3][at], &sides[2][at], page);
  });
  each("a page: restored for the next round", [&](std::size_t at) { std::memcpy(&sides[3][at], &sides[1][at], page); });
}

const char* name_of(cow::Barrier barrier) {
  if (barrier == cow::Barrier::kernel) return "kernel";
  return barrier == cow::Barrier::userfaultfd ? "userfaultfd" : "mprotect";
}

void run(cow::Barrier barrier, std::size_t bytes, std::size_t rounds, bool prepared) {
  Rows rows;
  cow::ArenaOptions options{.capacity = bytes, .barrier = barrier};
  options.quiet_cuts = true;
  cow::Arena arena(options);
  if (prepared) arena.prepare_write(arena.data(), bytes);
  for (std::size_t at = 0; at < bytes; at += page) arena.data()[at] = std::byte{1};
  const bool whole_too = bytes <= std::size_t{1} << 30;
  std::vector<std::byte> copy(whole_too ? bytes : 0);
  Pages pages(bytes / page);
  for (std::size_t round = 1; round <= rounds; ++round) {
    if (whole_too && round % 8 == 1) whole(rows, arena, copy.data());
    if (whole_too) copying(rows, arena, copy.data(), pages.next());
    difference(rows, arena, pages.next(), round);
    adoption(rows, arena, pages.next(), round);
    merging(rows, arena, pages.next(), round);
    if (round % 4 == 1) pages_alone(rows);
  }
  std::printf("%s, %zu MiB\n", name_of(arena.barrier()), bytes >> 20);
  rows.print();
  std::printf("%-64s %12.3f us\n", "adopt, a page, over memcpy of it",
              (rows.of("adopt, 1,000 pages") - rows.of("memcpy of 1,000 scattered pages")) / 1e3 / written);
  std::printf("%-64s %12.2f\n", "a page taken whole, times memcpy",
              rows.of("a page: taken whole, changed by one side") / rows.of("a page: memcpy"));
  std::printf("%-64s %12.2f\n\n", "a page merged of three sides, times memcmp of two",
              rows.of("a page: merged of three sides by granules of 8") / rows.of("a page: memcmp of two"));
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 31;
  const std::size_t mebibytes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1024;
  const bool prepared = argc > 3 && argv[3] == std::string_view("prepared");
  for (const cow::Barrier barrier : {cow::Barrier::mprotect, cow::Barrier::userfaultfd, cow::Barrier::kernel}) {
    try {
      run(barrier, mebibytes << 20, std::max<std::size_t>(rounds, 1), prepared);
    } catch (const std::system_error& error) {
      std::printf("%s: %s\n", name_of(barrier), error.what());
    }
  }
}

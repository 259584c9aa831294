// Promise: an undo log gives back exactly what was appended, whatever it is, packed as it is.
#include "books/undo_log.hpp"

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "support/environment.hpp"

namespace cow {

static bool operator==(const LogEntry& a, const LogEntry& b) {
  return a.page == b.page && a.frame == b.frame && a.birth == b.birth && a.owned == b.owned;
}

namespace {

constexpr std::uint64_t pages = std::uint64_t{1} << 35;
constexpr std::uint64_t births = std::uint64_t{1} << 46;

std::vector<LogEntry> entries_of(const UndoLog& log) {
  std::vector<LogEntry> all;
  log.for_each_between({}, log.mark(), [&](const LogEntry& entry) { all.push_back(entry); });
  return all;
}

std::vector<LogEntry> sorted(std::vector<LogEntry> entries) {
  std::sort(entries.begin(), entries.end(), [](const LogEntry& a, const LogEntry& b) {
    return std::tuple(a.page, a.frame, a.birth, a.owned) < std::tuple(b.page, b.frame, b.birth, b.owned);
  });
  return entries;
}

class Log {
 public:
  void append(const LogEntry& entry) {
    ASSERT_FALSE(UndoLog::make_room(memory, 1));
    log.append(memory, entry);
  }
  std::size_t bytes() const { return memory.objects_in_use() * sizeof(LogChunk); }

  LogMemory memory;
  UndoLog log;
};

LogEntry in_history(std::uint64_t page, std::uint64_t index, std::uint64_t birth) {
  return {{page}, History::first_frame + index, {birth}, true};
}

class Entries {
 public:
  explicit Entries(std::uint64_t seed) : random_(seed) {}
  LogEntry next() {
    LogEntry entry{{below(pages)}, {}, {}, false};
    switch (below(6)) {
      case 0: return {entry.page, zero_frame, never_written, false};
      case 1: return {entry.page, zero_frame, {near()}, false};
      case 2: return {entry.page, {below(pages * 1000)}, borrowed_birth, false};
      case 3: return {entry.page, {below(pages * 1000)}, {below(births - 2) + 2}, true};
      case 4: return in_history(entry.page.value, below(std::uint64_t{1} << 40), below(births - 2) + 2);
      default: return in_history(entry.page.value, below(1000), near());
    }
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  std::uint64_t near() { return births / 2 + below(100); }

  std::mt19937_64 random_;
};

TEST(UndoLog, gives_back_the_extremes) {
  const std::vector<LogEntry> extremes = {
      in_history(0, 0, 2),
      in_history(pages - 1, (std::uint64_t{1} << 33) - 2, births - 1),
      in_history(pages - 1, (std::uint64_t{1} << 33) - 1, births - 1),
      in_history(1, (std::uint64_t{1} << 61), 2 + (1 << 17)),
      {{pages - 1}, zero_frame, never_written, false},
      {{pages - 1}, zero_frame, {births - 1}, false},
      {{7}, {0}, borrowed_birth, false},
      {{7}, History::first_frame, borrowed_birth, false},
      {{7}, History::first_frame + 5, {9}, false},
      {{7}, {pages * ((1 << 18) - 1)}, {births - 1}, true},
  };
  Log one_by_one;
  for (const LogEntry& entry : extremes) one_by_one.append(entry);
  EXPECT_EQ(entries_of(one_by_one.log), extremes);
}

TEST(UndoLog, gives_back_what_was_appended_from_mark_to_mark) {
  const std::uint64_t seed = test::seed_or(1);
  SCOPED_TRACE("COW_SEED=" + std::to_string(seed));
  Entries entries(seed);
  Log log;
  std::vector<LogEntry> appended;
  std::vector<UndoLog::Mark> marks{{}};
  for (int i = 0; i < 5000; ++i) {
    appended.push_back(entries.next());
    log.append(appended.back());
    marks.push_back(log.log.mark());
  }
  EXPECT_EQ(entries_of(log.log), appended);
  EXPECT_EQ(log.log.size(), appended.size());
  for (std::size_t from = 0; from < marks.size(); from += 97) {
    for (std::size_t to = from; to < marks.size(); to += 331) {
      std::vector<LogEntry> between;
      log.log.for_each_between(marks[from], marks[to], [&](const LogEntry& entry) { between.push_back(entry); });
      ASSERT_EQ(between, std::vector<LogEntry>(appended.begin() + static_cast<long>(from),
                                               appended.begin() + static_cast<long>(to)));
    }
  }
}

TEST(UndoLog, filters_and_takes_over_without_losing_any) {
  const std::uint64_t seed = test::seed_or(2);
  SCOPED_TRACE("COW_SEED=" + std::to_string(seed));
  Entries entries(seed);
  std::mt19937_64 random(seed);
  LogMemory memory;
  UndoLog older;
  std::vector<LogEntry> expected;
  for (int round = 0; round < 200; ++round) {
    UndoLog newer;
    std::vector<LogEntry> kept, dropped, seen_dropped;
    for (std::uint64_t i = random() % 900; i != 0; --i) {
      LogEntry entry = entries.next();
      entry.page.value = entry.page.value / 2 * 2 + (i % 3 == 0 ? 1 : 0);
      (entry.page.value % 2 == 0 ? kept : dropped).push_back(entry);
      ASSERT_FALSE(UndoLog::make_room(memory, 1));
      newer.append(memory, entry);
    }
    UndoLog::Chunks emptied;
    newer.filter([](const LogEntry& entry) { return entry.page.value % 2 == 0; },
                 [&](const LogEntry& entry) { seen_dropped.push_back(entry); }, emptied);
    ASSERT_EQ(sorted(seen_dropped), sorted(dropped));
    ASSERT_EQ(sorted(entries_of(newer)), sorted(kept));
    older.take_over(newer, emptied);
    emptied.clear_and_dispose([&](LogChunk* chunk) { memory.give_back(chunk); });
    expected.insert(expected.end(), kept.begin(), kept.end());
    ASSERT_EQ(newer.size(), 0U);
    ASSERT_EQ(older.size(), expected.size());
  }
  EXPECT_EQ(sorted(entries_of(older)), sorted(expected));
}

TEST(UndoLog, needs_less_than_twelve_bytes_for_a_page_in_history) {
  Log log;
  constexpr std::uint64_t count = 100'000;
  for (std::uint64_t i = 0; i < count; ++i) log.append(in_history(i * 7919 % 262'144, i, 1'000'000 + i % 5000));
  EXPECT_LT(log.bytes(), 12 * count);
}

// A snapshot that is kept takes over a page from each of many that come and go.
TEST(UndoLog, that_takes_over_a_little_again_and_again_stays_dense) {
  LogMemory memory;
  UndoLog older;
  constexpr std::uint64_t count = 10'000;
  for (std::uint64_t i = 0; i < count; ++i) {
    UndoLog newer;
    ASSERT_FALSE(UndoLog::make_room(memory, 1));
    newer.append(memory, in_history(i, i, 2 + i));
    UndoLog::Chunks emptied;
    older.take_over(newer, emptied);
    emptied.clear_and_dispose([&](LogChunk* chunk) { memory.give_back(chunk); });
  }
  EXPECT_LT(memory.objects_in_use() * sizeof(LogChunk), 16 * count);
}

}  // namespace
}  // namespace cow

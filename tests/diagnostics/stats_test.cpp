// Promise: statistics tell where the time went, can be told apart by interval, and read well as text and as JSON.
#include <string>

#include <gtest/gtest.h>

#include "cow/stats_format.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

TEST(DurationHistogram, every_duration_is_in_the_bucket_that_begins_before_it) {
  for (std::uint64_t ns :
       {0ULL, 1ULL, 3ULL, 4ULL, 7ULL, 8ULL, 9ULL, 1023ULL, 1024ULL, 1025ULL, 1'000'000'000ULL, 7'000'000'000ULL}) {
    const std::size_t bucket = DurationHistogram::bucket_of(ns);
    EXPECT_LE(DurationHistogram::bucket_begin_ns(bucket), ns);
    EXPECT_GT(DurationHistogram::bucket_begin_ns(bucket + 1), ns);
  }
  EXPECT_EQ(DurationHistogram::bucket_of(~std::uint64_t{0}), DurationHistogram::buckets - 1);
}

TEST(DurationHistogram, quantiles_are_right_to_a_quarter) {
  DurationHistogram times;
  EXPECT_EQ(times.quantile_ns(0.5), 0U);
  for (std::uint64_t ns = 1; ns <= 10'000; ++ns) times.add(ns);
  EXPECT_EQ(times.count(), 10'000U);
  EXPECT_EQ(times.total_ns(), 50'005'000U);
  EXPECT_EQ(times.longest_ns(), 10'000U);
  for (const double part : {0.1, 0.5, 0.9, 0.99}) {
    EXPECT_GE(static_cast<double>(times.quantile_ns(part)), part * 10'000 * 0.99);
    EXPECT_LE(static_cast<double>(times.quantile_ns(part)), part * 10'000 * 1.26);
  }
  EXPECT_EQ(times.quantile_ns(1), 10'000U);
}

TEST(DurationHistogram, since_leaves_what_was_added_since) {
  DurationHistogram times;
  times.add(1'000'000);
  const DurationHistogram earlier = times;
  times.add(100);
  times.add(200);
  const DurationHistogram since = times.since(earlier);
  EXPECT_EQ(since.count(), 2U);
  EXPECT_EQ(since.total_ns(), 300U);
  EXPECT_GE(since.longest_ns(), 200U);
  EXPECT_LT(since.longest_ns(), 256U);
  EXPECT_EQ(times.since(times).count(), 0U);
  EXPECT_EQ(times.since(times).longest_ns(), 0U);
}

class Statistics : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Statistics);

TEST_P(Statistics, each_fault_has_its_time) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(256);
  fill_run(arena, 0, 256, 1);
  const Snapshot snapshot = arena.snapshot();
  for (std::size_t page = 0; page < 256; page += 16) put_mark(arena, page, 2);
  const ArenaStats stats = arena.stats();
  EXPECT_EQ(stats.handler_time.count(), stats.faults());
  EXPECT_GT(stats.handler_time.quantile_ns(0.5), 50U);  // a page is copied, and the kernel is asked
  EXPECT_LT(stats.handler_time.quantile_ns(0.1), 1'000'000U);
  EXPECT_GE(stats.handler_time.longest_ns(), stats.handler_time.quantile_ns(0.99));
  EXPECT_GE(stats.handler_time.total_ns(), stats.handler_time.longest_ns());
}

TEST_P(Statistics, pages_copied_along_are_those_that_no_fault_asked_for) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(256);
  fill_run(arena, 0, 256, 1);
  Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, 256, 2);
  const ArenaStats stats = arena.stats();
  EXPECT_EQ(stats.pages_to_history, 256U);
  EXPECT_EQ(stats.pages_copied_along, 256U - stats.faults_to_history);
  EXPECT_GT(stats.pages_copied_along, 0U) << "sequential writes are met by longer and longer blocks";
}

TEST_P(Statistics, since_tells_an_interval) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64);
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  const ArenaStats earlier = arena.stats();
  put_mark(arena, 20, 2);
  const ArenaStats since = arena.stats().since(earlier);
  EXPECT_EQ(since.faults_to_history, 1U);
  EXPECT_EQ(since.faults_first_touch, 0U);
  EXPECT_EQ(since.pages_first_touched, 0U);
  EXPECT_EQ(since.bytes_copied, since.pages_to_history * page_size());
  EXPECT_EQ(since.handler_time.count(), 1U);
  EXPECT_EQ(since.pages_private, 64U) << "levels are those of now";
  EXPECT_EQ(since.snapshots_alive, 1U);
}

TEST(StatsFormat, text_names_what_a_reader_looks_for) {
  Arena arena({.capacity = 64 * page_size()});
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  put_mark(arena, 3, 2);
  const std::string text = to_text(arena.stats());
  for (const char* const word :
       {"1 to history", "64 pages first touched", "p50", "p99", "1 snapshot;", "64 pages private"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in\n" << text;
  }
}

/// Takes `"name":` and the number behind it.
std::uint64_t json_number(const std::string& json, const std::string& name) {
  const std::size_t at = json.find('"' + name + "\":");
  return at == std::string::npos ? ~std::uint64_t{0} : std::stoull(json.substr(at + name.size() + 3));
}

TEST(StatsFormat, json_has_every_number) {
  Arena arena({.capacity = 64 * page_size()});
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  put_mark(arena, 3, 2);
  const ArenaStats stats = arena.stats();
  const std::string json = to_json(stats);
  EXPECT_EQ(json.front(), '{');
  EXPECT_EQ(json.back(), '}');
  EXPECT_EQ(std::count(json.begin(), json.end(), '{'), std::count(json.begin(), json.end(), '}'));
  EXPECT_EQ(json_number(json, "faults_to_history"), 1U);
  EXPECT_EQ(json_number(json, "pages_private"), 64U);
  EXPECT_EQ(json_number(json, "process_mapping_budget"), stats.process_mapping_budget);
  EXPECT_EQ(json_number(json, "count"), stats.handler_time.count());
  EXPECT_EQ(json_number(json, "p99_ns"), stats.handler_time.quantile_ns(0.99));
  EXPECT_NE(json.find("\"buckets\":[["), std::string::npos);
}

}  // namespace
}  // namespace cow::test

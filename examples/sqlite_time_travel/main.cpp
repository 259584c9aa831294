// Time travel for an SQLite database that knows nothing of it: its memory lies in an arena, and that is rolled back.
// See README.md beside this file for what it shows.
#include <cow/cow.hpp>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "../support/amounts.hpp"
#include "../support/command_line.hpp"
#include "../support/file_text.hpp"
#include "../what_if/graph_builder.hpp"
#include "comparison.hpp"
#include "migrations.hpp"
#include "options.hpp"
#include "package_tables.hpp"
#include "saved.hpp"
#include "sqlite_memory.hpp"
#include "timeline.hpp"

namespace {

using namespace sqlite_time_travel;

constexpr int not_restored = 3;

using Stanzas = std::vector<what_if::Stanza>;

/// Address space for the tables and what the migration makes of them, amply; memory comes with what is written.
std::size_t capacity_for(const std::string& text) { return std::max(std::size_t{1} << 30, 16 * text.size()); }

void print_loaded(const Options& options, const Database& database, const MemoryInArena& memory) {
  const auto count = [&](const std::string& table, const char* one, const char* many) {
    return examples::counted(std::stoull(text_of(database, "SELECT count(*) FROM " + table)), one, many);
  };
  const cow::HeapStats heap = memory.heap().stats();
  std::printf("%s: %s with %s, in an SQLite %s database in memory\n", options.file.c_str(),
              count("package", "package", "packages").c_str(),
              count("dependency", "dependency", "dependencies").c_str(), sqlite3_libversion());
  std::printf("All of SQLite's memory is in an arena: %s, %.1f MiB\n",
              examples::counted(heap.live_blocks, "allocation", "allocations").c_str(),
              static_cast<double>(heap.live_bytes) / static_cast<double>(1 << 20));
}

void print_timeline(const Timeline& timeline) {
  std::printf("\n%-28s %14s %14s %14s\n", "kept", "migration, us", "pages copied", "snapshot, us");
  for (const Version& version : timeline.versions()) {
    std::printf("%-28s %14.1f %14llu %14.1f\n", version.name.c_str(), version.migration_us,
                static_cast<unsigned long long>(version.pages_copied), version.snapshot_us);
  }
}

/// To the oldest, to the newest and to those between, as a user of it might.
void travel(Timeline& timeline) {
  std::printf("\n%-28s %14s %14s   %s\n", "gone to", "rollback, us", "pages", "proof");
  const std::vector<Version>& versions = timeline.versions();
  for (const std::size_t to : {std::size_t{0}, versions.size() - 1, std::size_t{1}, std::size_t{0}}) {
    const Visit visit = timeline.go_to(versions[to]);
    std::printf("%-28s %14.1f %14llu   integrity_check says ok, the dump is the same %zu bytes\n",
                versions[to].name.c_str(), visit.rollback_us, static_cast<unsigned long long>(visit.pages_differing),
                versions[to].dump.size());
  }
}

void show_time_travel(const Options& options, const Stanzas& installed, std::size_t capacity) {
  MemoryInArena memory(capacity);
  Database database;
  load_packages(database, installed);
  print_loaded(options, database, memory);
  Timeline timeline(database, memory.arena());
  for (const Migration& migration : migrations) timeline.migrate(migration);
  print_timeline(timeline);
  travel(timeline);
}

void print_comparison(std::span<const Row> rows) {
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    std::printf("\n%-28s %14s %14s %14s %14s\n", migrations[i].name, "save, us", "migrate, us", "undo, us", "sum, us");
    for (const Row& row : rows) {
      const Timings& timings = row.timings[i];
      std::printf("%-28s %14.1f %14.1f %14.1f %14.1f\n", row.way, median(timings.save), median(timings.migrate),
                  median(timings.undo), median(timings.sum));
    }
  }
}

int travel_and_compare(const Options& options, const std::string& text) {
  const Stanzas installed = what_if::installed_stanzas(what_if::read_stanzas(text));
  const std::size_t capacity = capacity_for(text);
  try {
    show_time_travel(options, installed, capacity);
    print_comparison(compare_undoing(installed, capacity, options.rounds));
  } catch (const NotRestored& error) {
    std::fprintf(stderr, "sqlite_time_travel: %s\n", error.what());
    return not_restored;
  }
  std::printf("\nMedians of %zu; the database was proved to be the old one after each.\n",
              options.rounds * (detail::times_per_round - 1));
  return examples::done;
}

/// One of two processes: the one that builds the database, or the one that has it back.
int save_or_load(const Options& options, const std::string& text) {
  const auto parse = [&] { return what_if::installed_stanzas(what_if::read_stanzas(text)); };
  if (!options.save.empty()) save_database(parse(), capacity_for(text), options.save);
  if (!options.load.empty()) load_database(options.load, parse);
  return examples::done;
}

int run(std::span<const char* const> arguments, char** argv) {
  const Options options = parse_options(arguments);
  const bool saves_or_loads = !options.save.empty() || !options.load.empty();
  if (saves_or_loads) start_without_random_addresses(argv);
  const std::string text = examples::file_text(options.file);
  if (saves_or_loads) return what_if::with_file_in_errors(options.file, [&] { return save_or_load(options, text); });
  return what_if::with_file_in_errors(options.file, [&] { return travel_and_compare(options, text); });
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("sqlite_time_travel", usage_text, argc, argv,
                               [argv](std::span<const char* const> arguments) { return run(arguments, argv); });
}

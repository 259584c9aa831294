// Promise: the tables say what the file says, and each way to undo a migration of them undoes it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "comparison.hpp"
#include "database.hpp"
#include "dump.hpp"
#include "options.hpp"
#include "package_tables.hpp"
#include "timeline.hpp"

namespace sqlite_time_travel::test {
namespace {

constexpr const char* two_packages =
    "Package: one\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 1:2.0\n"
    "Installed-Size: 12\nProvides: thing (= 3), other\nPre-Depends: two:any (>= 1)\nDepends: two | thing, virtual\n\n"
    "Package: two\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n";

std::vector<what_if::Stanza> installed_in(std::string_view text) {
  return what_if::installed_stanzas(what_if::read_stanzas(text));
}

TEST(PackageTables, hold_what_the_file_says) {
  Database database;
  load_packages(database, installed_in(two_packages));
  EXPECT_EQ(integrity(database), "ok");
  const auto all = [&](const std::string& of) { return text_of(database, "SELECT group_concat(x) FROM " + of); };
  EXPECT_EQ(all("(SELECT n.text || ' ' || version || ' ' || a.text || ' ' || multi_arch || ' ' || "
                "ifnull(installed_kib, '-') AS x FROM package JOIN name n ON n.id = name_id "
                "JOIN architecture a ON a.id = architecture_id ORDER BY package.id)"),
            "one 1:2.0 amd64 same 12,two 1 all no -");
  EXPECT_EQ(all("(SELECT field || ' ' || position || ' ' || needs AS x FROM needs WHERE package = 'one')"),
            "Pre-Depends 1 two,Depends 1 two,Depends 2 thing,Depends 1 virtual");
  EXPECT_EQ(all("(SELECT architecture || comparison || version AS x FROM alternative)"), "any>=1,,,");
  EXPECT_EQ(all("(SELECT text || version AS x FROM provision JOIN name ON name.id = name_id)"), "thing3,other");
}

TEST(PackageTables, refuse_what_is_not_a_package_database) {
  Database database;
  EXPECT_THROW(load_packages(database, installed_in("Package: a\nVersion: 1\nDepends: (\n\n")), what_if::DatabaseError);
  Database other;
  EXPECT_THROW(load_packages(other, installed_in("Package: a\nVersion: 1\nInstalled-Size: big\n\n")), SqlError);
}

TEST(Undoing, restores_in_each_of_three_ways) {
  const std::array<Row, 3> rows = compare_undoing(installed_in(two_packages), std::size_t{64} << 20, 2);
  for (const Row& row : rows) {
    for (const Timings& timings : row.timings) EXPECT_EQ(timings.sum.size(), 6u) << row.way;
  }
}

TEST(Timeline, goes_to_older_and_newer_versions) {
  MemoryInArena memory(std::size_t{64} << 20);
  Database database;
  load_packages(database, installed_in(two_packages));
  Timeline timeline(database, memory.arena());
  for (const Migration& migration : migrations) timeline.migrate(migration);
  for (const std::size_t to : {0u, 2u, 1u, 2u, 0u}) {
    timeline.go_to(timeline.versions()[to]);
    EXPECT_EQ(dump(database), timeline.versions()[to].dump);
  }
  database.execute(correction.sql);  // and works on
  EXPECT_NE(dump(database), timeline.versions()[0].dump);
}

Options parse(const std::vector<const char*>& arguments) { return parse_options(arguments); }

TEST(Options, are_read) {
  EXPECT_EQ(parse({}).file, "/var/lib/dpkg/status");
  const Options options = parse({"--rounds", "7", "status"});
  EXPECT_EQ(options.file, "status");
  EXPECT_EQ(options.rounds, 7u);
}

TEST(Options, refuse_what_makes_no_sense) {
  for (const std::vector<const char*>& wrong : std::vector<std::vector<const char*>>{
           {"--rounds"}, {"--rounds", "0"}, {"--rounds", "1x"}, {"--rounds", "1001"}, {"-r"}, {""}, {"a", "b"}}) {
    EXPECT_THROW(parse(wrong), examples::UsageError) << wrong.front();
  }
}

}  // namespace
}  // namespace sqlite_time_travel::test

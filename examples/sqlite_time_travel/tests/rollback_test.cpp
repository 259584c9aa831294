// Promise: after a rollback of the arena the database is what it was at the snapshot, whatever SQLite did in between,
// and works on. Random statements against the dumps of the time; replay: COW_SEED.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "database.hpp"
#include "dump.hpp"
#include "heap/heap_support.hpp"
#include "sqlite_memory.hpp"

namespace sqlite_time_travel::test {
namespace {

using cow::test::is_sound;
using cow::test::mib;
using cow::test::Random;

/// One statement, or several, that may change anything.
std::string some_statement(Random& random) {
  const std::string table = "t" + std::to_string(random.below(4));
  const std::string number = std::to_string(random.below(1'000));
  switch (random.below(14)) {
    case 0: return "CREATE TABLE IF NOT EXISTS " + table + " (id INTEGER PRIMARY KEY, a, b)";
    case 1: return "DROP TABLE IF EXISTS " + table;
    case 2: return "CREATE INDEX IF NOT EXISTS by_a_of_" + table + " ON " + table + " (a)";
    case 3: return "DROP INDEX IF EXISTS by_a_of_" + table;
    case 4: return "UPDATE " + table + " SET b = a || b WHERE id % 7 = " + number + " % 7 AND length(b) < 2000";
    case 5: return "DELETE FROM " + table + " WHERE id % 5 = " + number + " % 5";
    case 6: return "ALTER TABLE " + table + " RENAME COLUMN b TO c; ALTER TABLE " + table + " RENAME COLUMN c TO b";
    case 7: return "PRAGMA user_version = " + number;
    case 8: return "VACUUM";
    case 9: return "REINDEX; ANALYZE";
    case 10:
      return "BEGIN; INSERT INTO " + table + " (a) VALUES (" + number + "); SAVEPOINT s; DELETE FROM " + table +
             "; ROLLBACK TO s; COMMIT";
    case 11: return "INSERT INTO " + table + " (a, b) VALUES (" + number + ", zeroblob(" + number + " * 30))";
    default:
      return "INSERT INTO " + table + " (a, b) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT " +
             number + ") SELECT x, 'text ' || x FROM n";
  }
}

void run_some(Database& database, Random& random, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    // What cannot be done, for want of a table say, is undone by SQLite, and a part of what the rollback must survive.
    if (sqlite3_exec(database.connection(), some_statement(random).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      if (sqlite3_get_autocommit(database.connection()) == 0) database.execute("ROLLBACK");
    }
  }
}

TEST(Rollback, restores_the_database_of_any_version_whatever_was_done_to_it) {
  const std::uint64_t seed = cow::test::seed_or(20'220'601);
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  MemoryInArena memory(256 * mib);
  Database database;
  std::vector<std::pair<cow::Snapshot, std::string>> versions;
  for (int round = 0; round < (cow::test::under_sanitizer ? 60 : 300); ++round) {
    run_some(database, random, 1 + random.below(10));
    ASSERT_EQ(integrity(database), "ok") << "round " << round;
    if (versions.size() == 6) versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(random.below(6)));
    versions.emplace_back(memory.arena().snapshot(), dump(database));
    if (random.below(3) == 0) continue;
    const auto& [snapshot, as_it_was] = versions[random.below(versions.size())];
    memory.arena().rollback(snapshot);
    ASSERT_EQ(integrity(database), "ok") << "round " << round;
    ASSERT_TRUE(dump(database) == as_it_was) << "round " << round;
  }
  EXPECT_TRUE(is_sound(memory.heap()));
}

TEST(Rollback, takes_back_what_no_savepoint_can) {
  MemoryInArena memory(64 * mib);
  Database database;
  database.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)");
  const std::string as_it_was = dump(database);
  const cow::Snapshot before = memory.arena().snapshot();
  database.execute("DELETE FROM t; VACUUM; PRAGMA foreign_keys = OFF");
  memory.arena().rollback(before);
  EXPECT_EQ(dump(database), as_it_was);
  EXPECT_EQ(text_of(database, "PRAGMA foreign_keys"), "1");
}

TEST(Rollback, falls_in_the_middle_of_a_transaction_and_goes_on_there) {
  MemoryInArena memory(64 * mib);
  Database database;
  database.execute("CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1)");
  const cow::Snapshot within = memory.arena().snapshot();
  database.execute("INSERT INTO t VALUES (2); COMMIT; DROP TABLE t");
  memory.arena().rollback(within);
  EXPECT_EQ(text_of(database, "SELECT group_concat(a) FROM t"), "1");
  database.execute("ROLLBACK");
  EXPECT_EQ(text_of(database, "SELECT count(*) FROM t"), "0");
  EXPECT_EQ(integrity(database), "ok");
}

TEST(Rollback, keeps_a_statement_that_was_prepared_before) {
  MemoryInArena memory(64 * mib);
  Database database;
  database.execute("CREATE TABLE t (a)");
  Statement insert(database, "INSERT INTO t VALUES (?)");
  const cow::Snapshot before = memory.arena().snapshot();
  for (std::int64_t i = 0; i < 1'000; ++i) insert.bind(i).run();
  memory.arena().rollback(before);
  insert.bind(std::int64_t{7}).run();
  EXPECT_EQ(text_of(database, "SELECT group_concat(a) FROM t"), "7");
}

}  // namespace
}  // namespace sqlite_time_travel::test

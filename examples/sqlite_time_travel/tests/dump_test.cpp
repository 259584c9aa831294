// Promise: the proof fails when it should: the dump tells any two databases apart, and what is broken is named.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "comparison.hpp"
#include "database.hpp"
#include "dump.hpp"

namespace sqlite_time_travel::test {
namespace {

TEST(Dump, tells_apart_databases_that_differ_in_anything) {
  const char* const variants[] = {
      "",
      "CREATE TABLE t (a)",
      "CREATE TABLE t (b)",
      "CREATE TABLE u (a)",
      "CREATE TABLE t (a); CREATE INDEX i ON t (a)",
      "CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t",
      "CREATE TABLE t (a); INSERT INTO t VALUES (NULL)",
      "CREATE TABLE t (a); INSERT INTO t VALUES ('NULL')",
      "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
      "CREATE TABLE t (a); INSERT INTO t VALUES (1.5)",
      "CREATE TABLE t (a); INSERT INTO t VALUES ('1')",
      "CREATE TABLE t (a); INSERT INTO t VALUES (x'31')",
      "CREATE TABLE t (a); INSERT INTO t VALUES ('')",
      "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)",
      "CREATE TABLE t (a); INSERT INTO t VALUES (2), (1)",
      "CREATE TABLE t (a, b); INSERT INTO t VALUES ('|', '')",
      "CREATE TABLE t (a, b); INSERT INTO t VALUES ('', '|')",
      "CREATE TABLE t (a, b); INSERT INTO t VALUES ('''|''', '')",
      "CREATE TABLE t (a); PRAGMA user_version = 2",
  };
  std::set<std::string> dumps;
  for (const char* const variant : variants) {
    Database database;
    database.execute(variant);
    EXPECT_TRUE(dumps.insert(dump(database)).second) << variant;
    EXPECT_EQ(integrity(database), "ok");
  }
}

TEST(Dump, takes_tables_of_any_name) {
  Database database;
  database.execute(R"(CREATE TABLE "a ""b"" 'c'" (x); INSERT INTO "a ""b"" 'c'" VALUES (5))");
  EXPECT_NE(dump(database).find(":\n5\n"), std::string::npos);
}

TEST(Integrity, is_not_ok_when_a_row_refers_to_none) {
  Database database;
  database.execute("PRAGMA foreign_keys = OFF; CREATE TABLE a (id INTEGER PRIMARY KEY);"
                   "CREATE TABLE b (a REFERENCES a); INSERT INTO b VALUES (1)");
  EXPECT_EQ(integrity(database), "a row of b refers to none");
}

TEST(RequireSame, throws_for_another_database) {
  Database database;
  database.execute("CREATE TABLE t (a)");
  const std::string before = dump(database);
  EXPECT_NO_THROW(require_same(database, before, "nothing"));
  database.execute("INSERT INTO t VALUES (1)");
  EXPECT_THROW(require_same(database, before, "an insert"), NotRestored);
}

}  // namespace
}  // namespace sqlite_time_travel::test

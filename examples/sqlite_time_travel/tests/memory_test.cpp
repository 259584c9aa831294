// Promise: all of SQLite's memory is in the arena while MemoryInArena lives, and is given back; a full arena is an
// error of SQLite's like any other.
#include <gtest/gtest.h>

#include <string>

#include "database.hpp"
#include "dump.hpp"
#include "heap/heap_support.hpp"
#include "sqlite_memory.hpp"

namespace sqlite_time_travel::test {
namespace {

using cow::test::is_sound;
using cow::test::mib;

TEST(MemoryInArena, holds_all_that_sqlite_allocates) {
  MemoryInArena memory(64 * mib);
  const Database database;
  EXPECT_TRUE(memory.arena().contains(database.connection()));
  void* const block = sqlite3_malloc(1'000);
  EXPECT_TRUE(memory.arena().contains(block));
  EXPECT_GE(sqlite3_msize(block), 1'000u);
  sqlite3_free(block);
  EXPECT_TRUE(is_sound(memory.heap()));
}

TEST(MemoryInArena, gets_all_of_it_back) {
  MemoryInArena memory(64 * mib);
  {
    Database database;
    database.execute("CREATE TABLE t (a); INSERT INTO t SELECT value FROM json_each('[1, 2, 3]')");
    EXPECT_GT(memory.heap().stats().live_blocks, 10u);
  }
  EXPECT_EQ(sqlite3_shutdown(), SQLITE_OK);
  EXPECT_EQ(memory.heap().stats().live_blocks, 0u);
  EXPECT_TRUE(is_sound(memory.heap()));
}

TEST(MemoryInArena, leaves_sqlite_with_its_usual_memory) {
  { const MemoryInArena memory(64 * mib); }
  {
    Database database;  // SQLite initialises itself for this one
    database.execute("CREATE TABLE t (a)");
  }
  const UsualMemory usual;
  Database database;
  database.execute("CREATE TABLE t (a)");
}

TEST(MemoryInArena, that_is_full_is_an_error_after_which_all_is_sound) {
  MemoryInArena memory(4 * mib);
  Database database;
  database.execute("CREATE TABLE t (a)");
  const cow::Snapshot before = memory.arena().snapshot();
  const std::string as_it_was = dump(database);
  std::string why;
  try {
    for (int i = 0; i < 100; ++i) database.execute("INSERT INTO t VALUES (zeroblob(100000))");
  } catch (const SqlError& error) {
    why = error.what();
  }
  EXPECT_NE(why.find("out of memory"), why.npos) << why;
  EXPECT_EQ(integrity(database), "ok");
  EXPECT_TRUE(is_sound(memory.heap()));
  memory.arena().rollback(before);
  EXPECT_EQ(dump(database), as_it_was);
  EXPECT_EQ(integrity(database), "ok");
}

}  // namespace
}  // namespace sqlite_time_travel::test

// Three ways to undo what was done to a database: going back to a snapshot of the arena, SQLite's savepoints, and
// SQLite's backup API. Each has save() before, and undo() after, which also gives up what was saved.
#pragma once

#include <cow/arena.hpp>
#include <sqlite3.h>

#include <optional>

#include "database.hpp"

namespace sqlite_time_travel {

class BySnapshot {
 public:
  static constexpr const char* name = "cow: snapshot, rollback";

  BySnapshot(Database&, cow::Arena& arena) : arena_(arena) {}
  void save() { saved_ = arena_.snapshot(); }
  void undo() {
    arena_.rollback(saved_);
    saved_ = {};
  }

 private:
  cow::Arena& arena_;
  cow::Snapshot saved_;
};

class BySavepoint {
 public:
  static constexpr const char* name = "SAVEPOINT, ROLLBACK TO";

  explicit BySavepoint(Database& database) : database_(database) {}
  void save() { database_.execute("SAVEPOINT saved"); }
  void undo() { database_.execute("ROLLBACK TO saved; RELEASE saved"); }

 private:
  Database& database_;
};

class ByBackup {
 public:
  static constexpr const char* name = "backup API, there and back";

  explicit ByBackup(Database& database) : database_(database) {}
  void save() {
    saved_.emplace();
    copy(database_, *saved_);
  }
  void undo() {
    copy(*saved_, database_);
    saved_.reset();
  }

 private:
  static void copy(Database& from, Database& to) {
    sqlite3_backup* const backup = sqlite3_backup_init(to.connection(), "main", from.connection(), "main");
    if (backup != nullptr) sqlite3_backup_step(backup, -1);
    if (backup == nullptr || sqlite3_backup_finish(backup) != SQLITE_OK) to.fail("a backup");
  }

  Database& database_;
  std::optional<Database> saved_;
};

}  // namespace sqlite_time_travel

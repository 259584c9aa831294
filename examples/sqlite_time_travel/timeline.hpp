// A database and the versions it went through: to each of them it can go back, or forward again.
#pragma once

#include <cow/arena.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../support/measure.hpp"
#include "comparison.hpp"
#include "database.hpp"
#include "dump.hpp"
#include "migrations.hpp"

namespace sqlite_time_travel {

struct Version {
  std::string name;
  cow::Snapshot snapshot;
  std::string dump;                ///< as the database was when this was kept
  double snapshot_us = 0;
  double migration_us = 0;         ///< of the step that led here, with all faults
  std::uint64_t pages_copied = 0;  ///< by that step: before-images of the version before
};

struct Visit {
  double rollback_us = 0;
  std::uint64_t pages_differing = 0;  ///< between where it was and where it went, at the most
};

class Timeline {
 public:
  /// `database` has its memory in `arena`; both must outlive this.
  Timeline(Database& database, cow::Arena& arena) : database_(database), arena_(arena) {
    Version version;
    version.name = "as loaded";
    keep(std::move(version));
  }

  const std::vector<Version>& versions() const noexcept { return versions_; }

  void migrate(const Migration& migration) {
    const cow::ArenaStats before = arena_.stats();
    Version version;
    version.name = migration.name;
    version.migration_us = microseconds_of([&] { database_.execute(migration.sql); });
    version.pages_copied = examples::pages_copied(arena_.stats().since(before));
    keep(std::move(version));
  }

  /// Throws NotRestored if the database is not what it was then.
  Visit go_to(const Version& version) {
    Visit visit;
    for (const cow::PageRange& range : arena_.changed_since(version.snapshot)) visit.pages_differing += range.count;
    visit.rollback_us = microseconds_of([&] { arena_.rollback(version.snapshot); });
    require_same(database_, version.dump, "going to '" + version.name + "'");
    (void)take_back_reading(version.snapshot);
    return visit;
  }

 private:
  void keep(Version version) {
    version.snapshot_us = microseconds_of([&] { version.snapshot = arena_.snapshot(); });
    version.dump = dump(database_);
    version.snapshot = take_back_reading(version.snapshot);
    versions_.push_back(std::move(version));
  }

  /// Reading writes: SQLite counts who uses each page it has. Without this, each step would be measured together with
  /// what the dump before it wrote.
  cow::Snapshot take_back_reading(const cow::Snapshot& before) {
    arena_.rollback(before);
    return arena_.snapshot();
  }

  Database& database_;
  cow::Arena& arena_;
  std::vector<Version> versions_;
};

}  // namespace sqlite_time_travel

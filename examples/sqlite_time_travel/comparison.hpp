// The ways to undo a migration against each other: in one process, in turns, each on a database just loaded and with
// the memory it would have in a program of its own. Every single undoing is proved.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../support/measure.hpp"
#include "dump.hpp"
#include "migrations.hpp"
#include "package_tables.hpp"
#include "sqlite_memory.hpp"
#include "undo.hpp"

namespace sqlite_time_travel {

using examples::microseconds_of;

/// The database is not what it was before.
class NotRestored : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws NotRestored unless the database is sound and dumps as it did.
inline void require_same(const Database& database, const std::string& as_it_was, const std::string& after) {
  const std::string found = integrity(database);
  if (found != "ok") throw NotRestored("after " + after + " the integrity check says: " + found);
  if (dump(database) != as_it_was) throw NotRestored("after " + after + " the dump is another than before");
}

/// Microseconds, one for each time it was done.
struct Timings {
  std::vector<double> save, migrate, undo, sum;
};

inline double median(const std::vector<double>& values) { return examples::quantile(values, 0.5); }

/// A way to undo and what it took for each of the migrations.
struct Row {
  const char* way = "";
  std::array<Timings, migrations.size()> timings;
};

namespace detail {

inline constexpr int times_per_round = 4;  // of which the first is not counted: it gets memory that the next ones have

template <class Way>
void time_undoing(Database& database, Way way, Row& row) {
  row.way = Way::name;
  const std::string as_it_was = dump(database);
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    for (int time = 0; time < times_per_round; ++time) {
      // The proof has read all of the database, and reading writes: SQLite counts who uses each page it has. What the
      // proof wrote is not the next one's to save.
      way.save();
      way.undo();
      const double save = microseconds_of([&] { way.save(); });
      const double migrate = microseconds_of([&] { database.execute(migrations[i].sql); });
      if (time == 0 && dump(database) == as_it_was) throw std::logic_error("the migration changed nothing");
      const double undo = microseconds_of([&] { way.undo(); });
      require_same(database, as_it_was, Way::name);
      if (time == 0) continue;
      Timings& timings = row.timings[i];
      timings.save.push_back(save);
      timings.migrate.push_back(migrate);
      timings.undo.push_back(undo);
      timings.sum.push_back(save + migrate + undo);
    }
  }
}

}  // namespace detail

/// No SQLite database may be open. Throws NotRestored.
inline std::array<Row, 3> compare_undoing(std::span<const what_if::Stanza> installed, std::size_t capacity,
                                          std::size_t rounds) {
  std::array<Row, 3> rows;
  for (std::size_t round = 0; round < rounds; ++round) {
    {
      MemoryInArena memory(capacity);
      Database database;
      load_packages(database, installed);
      detail::time_undoing(database, BySnapshot(database, memory.arena()), rows[0]);
    }
    const UsualMemory memory;
    Database database;
    load_packages(database, installed);
    detail::time_undoing(database, BySavepoint(database), rows[1]);
    detail::time_undoing(database, ByBackup(database), rows[2]);
  }
  return rows;
}

}  // namespace sqlite_time_travel

// A database that one process builds and another has back without building it: the arena that all of SQLite's memory
// lies in is saved, and loaded at the same address.
//
// What SQLite's memory points to outside of it are SQLite's own code and constants, and ours. So both processes must
// have them at the same addresses: the same program with the same libraries, started without randomized addresses.
#pragma once

#include <sqlite3.h>
#include <cow/cow.hpp>

#include <sys/personality.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "../support/measure.hpp"
#include "database.hpp"
#include "package_tables.hpp"
#include "sqlite_memory.hpp"

namespace sqlite_time_travel {

/// Starts the program anew if its addresses are random. Returns in the one that goes on.
inline void start_without_random_addresses(char** argv) {
  const int now = ::personality(0xffffffff);
  if (now != -1 && (now & ADDR_NO_RANDOMIZE) != 0) return;
  if (now == -1 || ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) == -1) {
    throw std::runtime_error("--save and --load need addresses that are not random, which this sandbox refuses");
  }
  std::fflush(stdout);
  ::execv("/proc/self/exe", argv);
  throw std::runtime_error("cannot start itself again, without random addresses");
}

/// What the other process finds first, as the heap's root.
struct SavedDatabase {
  sqlite3* connection;
  int (*sqlite_code)(sqlite3*);
  const sqlite3_mem_methods* our_methods;
  char version[16];

  static SavedDatabase of(const Database& database) {
    SavedDatabase saved{database.connection(), sqlite3_close, &detail::heap_methods, {}};
    std::strncpy(saved.version, sqlite3_libversion(), sizeof saved.version - 1);
    return saved;
  }
  /// Throws where it cannot be used here.
  void check() const {
    if (std::strncmp(version, sqlite3_libversion(), sizeof version) != 0) {
      throw std::runtime_error(std::string("the file was saved with SQLite ") + version + ", and this is " +
                               sqlite3_libversion());
    }
    if (sqlite_code != sqlite3_close || our_methods != &detail::heap_methods) {
      throw std::runtime_error("SQLite or this program lies at other addresses than when the file was saved");
    }
  }
};

/// Free where addresses are not random: behind the program, whose place is two thirds of the way up, and its heap. It
/// is none that sanitizers keep for themselves either.
inline constexpr std::uintptr_t database_address = std::uintptr_t{86} << 40;

inline cow::Arena arena_for_saving(std::size_t capacity) {
  cow::ArenaOptions options;
  options.capacity = capacity;
  options.name = "sqlite";
  options.address = reinterpret_cast<void*>(database_address);
  return cow::Arena(options);
}

/// SQLite's own copy of the database, in a file beside ours.
inline std::string backup_beside(const std::string& file) { return file + ".sqlite"; }

inline void back_up(sqlite3* from, sqlite3* to) {
  sqlite3_backup* const backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup != nullptr) sqlite3_backup_step(backup, -1);
  if (backup == nullptr || sqlite3_backup_finish(backup) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(to));
}

class FileDatabase {
 public:
  explicit FileDatabase(const std::string& path) {
    if (sqlite3_open(path.c_str(), &connection_) != SQLITE_OK) {
      sqlite3_close(connection_);
      throw std::runtime_error("cannot open " + path);
    }
  }
  FileDatabase(const FileDatabase&) = delete;
  FileDatabase& operator=(const FileDatabase&) = delete;
  ~FileDatabase() { sqlite3_close(connection_); }
  sqlite3* get() const noexcept { return connection_; }

 private:
  sqlite3* connection_ = nullptr;
};

inline std::string tables_in(const Database& database) {
  return text_of(database, "SELECT count(*) FROM package") + " packages, " +
         text_of(database, "SELECT count(*) FROM alternative") + " alternatives";
}

template <class Stanzas>
void save_database(const Stanzas& stanzas, std::size_t capacity, const std::string& file) {
  std::string tables;
  double save_us = 0;
  {
    MemoryInArena memory(arena_for_saving(capacity));
    Database database;
    load_packages(database, stanzas);
    memory.heap().set_root(memory.heap().create<SavedDatabase>(SavedDatabase::of(database)));
    save_us = examples::microseconds_of([&] { cow::save(memory.arena().snapshot(), file); });
    tables = tables_in(database);
  }
  const UsualMemory usual;
  Database database;
  load_packages(database, stanzas);
  std::filesystem::remove(backup_beside(file));
  const FileDatabase beside(backup_beside(file));
  const double backup_us = examples::microseconds_of([&] { back_up(database.connection(), beside.get()); });
  std::printf("%s: saved in %.0f us; SQLite's backup API into %s takes %.0f us\n", tables.c_str(), save_us,
              backup_beside(file).c_str(), backup_us);
}

template <class Parse>
void load_database(const std::string& file, Parse&& parse) {
  std::string tables;
  double load_us = 0, first_query_us = 0;
  {
    cow::LoadOptions options;
    options.at_saved_address = true;
    std::optional<cow::Arena> arena;
    load_us = examples::microseconds_of([&] { arena.emplace(cow::load(file, options)); });
    MemoryInArena memory(std::move(*arena));
    const auto* const saved = memory.heap().root<SavedDatabase>();
    if (saved == nullptr) throw std::runtime_error(file + " holds no database");
    saved->check();
    Database database(saved->connection);
    first_query_us = examples::microseconds_of([&] { tables = tables_in(database); });
    if (text_of(database, "PRAGMA integrity_check") != "ok") throw std::runtime_error("integrity_check fails");
    database.execute("INSERT INTO name (text) VALUES ('written after loading')");
    if (text_of(database, "PRAGMA integrity_check") != "ok")
      throw std::runtime_error("integrity_check fails after a write");
  }
  const UsualMemory usual;
  double backup_us = 0;
  {
    const FileDatabase beside(backup_beside(file));
    Database copy;
    backup_us = examples::microseconds_of([&] { back_up(beside.get(), copy.connection()); });
    if (tables_in(copy) != tables) throw std::runtime_error("the backup has other tables");
  }
  const double parse_us = examples::microseconds_of([&] {
    Database again;
    load_packages(again, parse());
  });
  std::printf("%s, integrity_check says ok\n%-34s %12.0f us\n%-34s %12.0f us\n%-34s %12.0f us\n%-34s %12.0f us\n",
              tables.c_str(), "loaded at the same address", load_us, "first queries", first_query_us,
              "backup API, from its file", backup_us, "parsed again", parse_us);
}

}  // namespace sqlite_time_travel

// An SQLite database in memory, and statements on it. Errors become exceptions that name the statement.
// Does not know where SQLite's memory comes from.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sqlite_time_travel {

class SqlError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One connection to a database of its own in memory. Not copyable. For one thread.
class Database {
 public:
  Database() {
    // Without a mutex, which would lie in SQLite's memory and come and go with that. It would work; but ThreadSanitizer
    // knows mutexes by their addresses, and reports inversions of lock order where there are none (seen).
    constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(":memory:", &connection_, flags, nullptr) != SQLITE_OK) {
      const std::string why = connection_ != nullptr ? sqlite3_errmsg(connection_) : "out of memory";
      sqlite3_close(connection_);
      throw SqlError("cannot open a database in memory: " + why);
    }
    // Nothing in files: those would not be rolled back.
    execute("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY");
  }
  /// Takes over a connection.
  explicit Database(sqlite3* adopted) noexcept : connection_(adopted) {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close(connection_); }

  sqlite3* connection() const noexcept { return connection_; }

  /// Runs all statements in the text.
  void execute(const std::string& sql) {
    if (sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
  }

  /// Throws SqlError with what SQLite says about the last call on this connection.
  [[noreturn]] void fail(std::string_view sql) const {
    throw SqlError(std::string(sqlite3_errmsg(connection_)) + ", in: " + std::string(sql));
  }

 private:
  sqlite3* connection_ = nullptr;
};

/// A prepared statement. It lies in SQLite's memory, so it must not outlive a rollback to before it was prepared.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql) : database_(database) {
    const int size = static_cast<int>(sql.size());
    if (sqlite3_prepare_v2(database.connection(), sql.data(), size, &statement_, nullptr) != SQLITE_OK) {
      database.fail(sql);
    }
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  /// The parameters in their order, to run with. Text is copied.
  template <class... Values>
  Statement& bind(const Values&... values) {
    sqlite3_reset(statement_);
    int place = 0;
    (bind_one(++place, values), ...);
    return *this;
  }

  /// To the next row; false when there is none.
  bool step() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) database_.fail(sqlite3_sql(statement_));
    return result == SQLITE_ROW;
  }
  /// For statements without rows.
  void run() {
    while (step()) {
    }
    sqlite3_reset(statement_);
  }

  int columns() const noexcept { return sqlite3_column_count(statement_); }
  int type(int column) const noexcept { return sqlite3_column_type(statement_, column); }
  std::int64_t integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }
  /// Text or the bytes of a blob, until the next step.
  std::string_view bytes(int column) const noexcept {
    const auto* const data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  void bind_one(int place, std::int64_t value) { check(sqlite3_bind_int64(statement_, place, value)); }
  void bind_one(int place, std::string_view text) {
    const char* const data = text.data() != nullptr ? text.data() : "";  // a null pointer would bind NULL
    check(sqlite3_bind_text(statement_, place, data, static_cast<int>(text.size()), SQLITE_TRANSIENT));
  }
  void bind_one(int place, std::nullptr_t) { check(sqlite3_bind_null(statement_, place)); }
  void check(int result) const {
    if (result != SQLITE_OK) database_.fail(sqlite3_sql(statement_));
  }

  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

/// The first column of the first row as text.
inline std::string text_of(const Database& database, std::string_view query) {
  Statement statement(database, query);
  return statement.step() ? std::string(statement.bytes(0)) : std::string();
}

}  // namespace sqlite_time_travel

// The whole of a database as text, and SQLite's own word on whether it is sound: the proof that it is what it was.
#pragma once

#include <sqlite3.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "database.hpp"

namespace sqlite_time_travel {

namespace detail {

inline std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) out.append(c == quote ? 2 : 1, c);
  return out += quote;
}

inline void append_value(std::string& out, const Statement& row, int column) {
  switch (row.type(column)) {
    case SQLITE_NULL: out += "NULL"; break;
    case SQLITE_BLOB: out += 'x'; [[fallthrough]];
    case SQLITE_TEXT: out += quoted(row.bytes(column), '\''); break;
    default: out += row.bytes(column); break;  // a number, which SQLite writes out
  }
}

inline void append_rows(std::string& out, const Database& database, const std::string& query) {
  Statement rows(database, query);
  while (rows.step()) {
    for (int column = 0; column < rows.columns(); ++column) {
      if (column != 0) out += '|';
      append_value(out, rows, column);
    }
    out += '\n';
  }
}

}  // namespace detail

/// Schema, settings and every row of every table, in the order in which they are stored.
inline std::string dump(const Database& database) {
  std::string out;
  for (const char* const setting : {"user_version", "application_id", "encoding", "page_count"}) {
    detail::append_rows(out, database, "PRAGMA " + std::string(setting));
  }
  detail::append_rows(out, database, "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema");
  std::vector<std::string> tables;
  Statement names(database, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  while (names.step()) tables.emplace_back(names.bytes(0));
  for (const std::string& table : tables) {
    out += table + ":\n";
    detail::append_rows(out, database, "SELECT * FROM " + detail::quoted(table, '"'));
  }
  return out;
}

/// "ok", or what is wrong: with the structure of the database, or with what its rows refer to.
inline std::string integrity(const Database& database) {
  const std::string structure = text_of(database, "PRAGMA integrity_check");
  if (structure != "ok") return structure;
  const std::string table = text_of(database, "PRAGMA foreign_key_check");
  return table.empty() ? "ok" : "a row of " + table + " refers to none";
}

}  // namespace sqlite_time_travel

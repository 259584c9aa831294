// Debian's package database as tables: what they are, and how they are filled from the stanzas of the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "../what_if/graph_builder.hpp"
#include "../what_if/relation.hpp"
#include "../what_if/stanza_reader.hpp"
#include "database.hpp"

namespace sqlite_time_travel {

inline constexpr const char* package_schema = R"(
  CREATE TABLE architecture (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE package (
    id INTEGER PRIMARY KEY,
    name_id INTEGER NOT NULL REFERENCES name,
    architecture_id INTEGER NOT NULL REFERENCES architecture,
    version TEXT NOT NULL,
    multi_arch TEXT NOT NULL,
    installed_kib INTEGER,
    UNIQUE (name_id, architecture_id)) STRICT;
  CREATE TABLE dependency (
    id INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL REFERENCES package ON DELETE CASCADE,
    field TEXT NOT NULL) STRICT;
  CREATE TABLE alternative (
    dependency_id INTEGER NOT NULL REFERENCES dependency ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name_id INTEGER NOT NULL REFERENCES name,
    architecture TEXT NOT NULL,
    comparison TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (dependency_id, position)) STRICT, WITHOUT ROWID;
  CREATE TABLE provision (
    id INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL REFERENCES package ON DELETE CASCADE,
    name_id INTEGER NOT NULL REFERENCES name,
    version TEXT NOT NULL) STRICT;
  CREATE INDEX dependency_of ON dependency (package_id);
  CREATE INDEX alternative_named ON alternative (name_id);
  CREATE INDEX provision_of ON provision (package_id);
  CREATE INDEX provision_named ON provision (name_id);
  CREATE VIEW needs AS
    SELECT owner.text AS package, needed.text AS needs, dependency.field, alternative.position
    FROM package JOIN name AS owner ON owner.id = package.name_id
      JOIN dependency ON dependency.package_id = package.id
      JOIN alternative ON alternative.dependency_id = dependency.id
      JOIN name AS needed ON needed.id = alternative.name_id;
)";

/// Fills the tables of package_schema.
class PackageLoader {
 public:
  explicit PackageLoader(Database& database) : database_(database) {}

  /// In one transaction. Throws what_if::DatabaseError for a field that cannot be understood, SqlError for a value that
  /// a table refuses.
  void load(std::span<const what_if::Stanza> installed) {
    database_.execute("BEGIN");
    for (const what_if::Stanza& stanza : installed) add_package(stanza);
    database_.execute("COMMIT");
  }

 private:
  using Ids = std::map<std::string_view, std::int64_t>;

  static std::int64_t id_of(std::string_view text, Ids& ids, Statement& insert) {
    const auto [place, is_new] = ids.try_emplace(text, static_cast<std::int64_t>(ids.size()) + 1);
    if (is_new) insert.bind(place->second, text).run();
    return place->second;
  }
  std::int64_t name_id(std::string_view text) { return id_of(text, names_, add_name_); }

  void add_package(const what_if::Stanza& stanza) {
    const std::int64_t package = ++packages_;
    const std::int64_t architecture = id_of(stanza.architecture.value, architectures_, add_architecture_);
    add_package_
        .bind(package, name_id(stanza.package.value), architecture, stanza.version.value,
              stanza.multi_arch ? stanza.multi_arch.value : "no")
        .run();
    if (stanza.installed_size) add_size_.bind(stanza.installed_size.value, package).run();
    add_dependencies(package, stanza.pre_depends, "Pre-Depends");
    add_dependencies(package, stanza.depends, "Depends");
    add_provisions(package, stanza.provides);
  }

  void add_dependencies(std::int64_t package, const what_if::Field& field, std::string_view field_name) {
    what_if::for_each_dependency(field, [&](std::string_view dependency) {
      add_dependency_.bind(++dependencies_, package, field_name).run();
      std::int64_t position = 0;
      what_if::for_each_alternative(dependency, field.line, [&](const what_if::Relation& relation) {
        add_alternative_
            .bind(dependencies_, ++position, name_id(relation.name), relation.architecture,
                  written(relation.comparison), relation.version)
            .run();
      });
    });
  }

  void add_provisions(std::int64_t package, const what_if::Field& field) {
    what_if::for_each_dependency(field, [&](std::string_view provision) {
      what_if::for_each_alternative(provision, field.line, [&](const what_if::Relation& relation) {
        add_provision_.bind(package, name_id(relation.name), relation.version).run();
      });
    });
  }

  static std::string_view written(what_if::Comparison comparison) noexcept {
    static constexpr std::string_view signs[] = {"", "<<", "<=", "=", ">=", ">>"};
    return signs[static_cast<std::size_t>(comparison)];
  }

  Database& database_;
  Ids names_, architectures_;
  std::int64_t packages_ = 0, dependencies_ = 0;
  Statement add_name_{database_, "INSERT INTO name VALUES (?, ?)"};
  Statement add_architecture_{database_, "INSERT INTO architecture VALUES (?, ?)"};
  Statement add_package_{database_, "INSERT INTO package VALUES (?, ?, ?, ?, ?, NULL)"};
  Statement add_size_{database_, "UPDATE package SET installed_kib = ? WHERE id = ?"};  // STRICT: only a whole number
  Statement add_dependency_{database_, "INSERT INTO dependency VALUES (?, ?, ?)"};
  Statement add_alternative_{database_, "INSERT INTO alternative VALUES (?, ?, ?, ?, ?, ?)"};
  Statement add_provision_{database_, "INSERT INTO provision VALUES (NULL, ?, ?, ?)"};
};

/// Makes the tables and fills them.
inline void load_packages(Database& database, std::span<const what_if::Stanza> installed) {
  database.execute(package_schema);
  PackageLoader(database).load(installed);
}

}  // namespace sqlite_time_travel

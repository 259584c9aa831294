// What is done to the database and then undone.
#pragma once

#include <array>

namespace sqlite_time_travel {

struct Migration {
  const char* name;
  const char* sql;
};

inline constexpr Migration correction{
    "one version is corrected",
    "UPDATE package SET version = version || '+corrected' WHERE id = (SELECT (max(id) + 1) / 2 FROM package);",
};

inline constexpr Migration destruction{
    "a destructive migration",
    R"(
      DROP VIEW needs;
      CREATE TABLE flat AS
        SELECT name.text AS package, package.version, count(dependency.id) AS dependencies
        FROM package JOIN name ON name.id = package.name_id LEFT JOIN dependency ON dependency.package_id = package.id
        GROUP BY package.id;
      DELETE FROM dependency WHERE package_id % 2 = 0;
      DROP INDEX alternative_named;
      DROP TABLE provision;
      ALTER TABLE package DROP COLUMN installed_kib;
      UPDATE package SET version = '0', multi_arch = upper(multi_arch);
      UPDATE name SET text = 'was-' || text;
      PRAGMA user_version = 2;
    )",
};

inline constexpr std::array migrations{correction, destruction};

}  // namespace sqlite_time_travel

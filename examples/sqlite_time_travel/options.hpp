// What the user asks for on the command line.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../support/command_line.hpp"

namespace sqlite_time_travel {

inline constexpr const char* usage_text = R"(usage: sqlite_time_travel [OPTION]... [FILE]

Loads Debian's package database into an SQLite database in memory whose every allocation comes from
an arena; then destroys it by a migration, goes back, and proves that it is the old database.
Compares with SQLite's own SAVEPOINT and ROLLBACK, and with its backup API.

  FILE          the package database (default: /var/lib/dpkg/status), or an archive's Packages file
  --rounds N    how often to compare, 1 to 1000 (default: 5); each way gets N * 3 times
  --save FILE   only builds the database, and saves it with all of SQLite's memory to FILE
  --load FILE   only has it back, in another process, at the same address; compares with SQLite's
                backup API and with parsing again
  --help        print this

Exit status: 0 all was as before each time; 1 the file cannot be read, or it could not run;
2 wrong usage; 3 the database was not the same afterwards.
)";

struct Options {
  std::string file = "/var/lib/dpkg/status";
  std::size_t rounds = 5;
  std::string save, load;
};

/// Throws examples::UsageError. The arguments are without the program's name.
inline Options parse_options(std::span<const char* const> given) {
  Options options;
  bool has_file = false;
  for (examples::Arguments arguments(given); !arguments.empty();) {
    const std::string_view argument = arguments.next();
    if (argument == "--rounds") options.rounds = arguments.number_after(argument, 1, 1'000);
    else if (argument == "--save" && !arguments.empty()) options.save = arguments.next();
    else if (argument == "--load" && !arguments.empty()) options.load = arguments.next();
    else if (argument.empty() || argument.starts_with('-')) examples::refuse("no such option", argument);
    else if (std::exchange(has_file, true)) examples::refuse("a second file", argument);
    else options.file = argument;
  }
  return options;
}

}  // namespace sqlite_time_travel

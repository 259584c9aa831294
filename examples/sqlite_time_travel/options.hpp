// What the user asks for on the command line.
#pragma once

#include <charconv>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sqlite_time_travel {

inline constexpr const char* usage_text = R"(usage: sqlite_time_travel [OPTION]... [FILE]

Loads Debian's package database into an SQLite database in memory whose every allocation comes from
an arena; then destroys it by a migration, goes back, and proves that it is the old database.
Compares with SQLite's own SAVEPOINT and ROLLBACK, and with its backup API.

  FILE          the package database (default: /var/lib/dpkg/status), or an archive's Packages file
  --rounds N    how often to compare, 1 to 1000 (default: 5); each way gets N * 3 times
  --help        print this

Exit status: 0 all was as before each time; 1 the file cannot be read, or it could not run;
2 wrong usage; 3 the database was not the same afterwards.
)";

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string file = "/var/lib/dpkg/status";
  std::size_t rounds = 5;
  bool help = false;
};

/// Throws UsageError. `arguments` are without the program's name.
inline Options parse_options(std::span<const char* const> arguments) {
  Options options;
  std::string file;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string argument = arguments[i];
    if (argument == "--help") {
      options.help = true;
    } else if (argument == "--rounds") {
      const std::string_view text = i + 1 < arguments.size() ? arguments[++i] : "";
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.rounds);
      if (error != std::errc{} || end != text.data() + text.size() || options.rounds < 1 || options.rounds > 1'000) {
        throw UsageError("--rounds takes a number from 1 to 1000, not '" + std::string(text) + "'");
      }
    } else if (argument.empty() || argument.front() == '-') {
      throw UsageError("no such option: '" + argument + "'");
    } else if (!file.empty()) {
      throw UsageError("a second file: '" + argument + "'");
    } else {
      options.file = file = argument;
    }
  }
  return options;
}

}  // namespace sqlite_time_travel

// What the user asks for on the command line.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../support/command_line.hpp"

namespace what_if {

inline constexpr const char* usage_text = R"(usage: what_if [OPTION]... [FILE] [PACKAGE]...

What would have to go if a package were removed? Reads Debian's package database into an arena,
and answers for each PACKAGE in a clone of it, all clones in parallel.

  FILE            the database: what has a slash in it (default: /var/lib/dpkg/status).
                  An archive's Packages file does as well: all its packages then count as installed
  PACKAGE         a name, or name:architecture
  --most N        without PACKAGE: take the N packages on which most others lean directly (default: 8)
  --threads N     how many threads work on clones at once (default: as many as processors, at least 2)
  --verbose       list what goes, in the order in which it has to, and why
  --names         print nothing but the names of what goes, for scripts
  --help          print this

Exit status: 0 answered; 1 the file cannot be read or has no such package; 2 wrong usage;
3 the original was not the same afterwards.
)";

struct Options {
  std::string file = "/var/lib/dpkg/status";
  std::vector<std::string> packages;  ///< none: the `most` on which most others lean
  std::size_t most = 8;
  std::size_t threads = 0;            ///< 0: as many as processors
  bool verbose = false;
  bool names_only = false;
};

/// Throws examples::UsageError. The arguments are without the program's name.
inline Options parse_options(std::span<const char* const> given) {
  Options options;
  bool has_file = false;
  for (examples::Arguments arguments(given); !arguments.empty();) {
    const std::string_view argument = arguments.next();
    if (argument == "--verbose") options.verbose = true;
    else if (argument == "--names") options.names_only = true;
    else if (argument == "--most") options.most = arguments.number_after(argument, 1, 1'000'000);
    else if (argument == "--threads") options.threads = arguments.number_after(argument, 1, 1'000);
    else if (argument.empty() || argument.starts_with('-')) examples::refuse("no such option", argument);
    else if (argument.find('/') == argument.npos) options.packages.emplace_back(argument);
    else if (std::exchange(has_file, true)) examples::refuse("a second file", argument);
    else options.file = argument;
  }
  return options;
}

}  // namespace what_if

// What the user asks for on the command line.
#pragma once

#include <charconv>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace what_if {

inline constexpr std::string_view usage_text = R"(usage: what_if [OPTION]... [FILE] [PACKAGE]...

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

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string file = "/var/lib/dpkg/status";
  std::vector<std::string> packages;  ///< none: the `most` on which most others lean
  std::size_t most = 8;
  std::size_t threads = 0;            ///< 0: as many as processors
  bool verbose = false;
  bool names_only = false;
  bool help = false;
};

namespace detail {

[[noreturn]] inline void refuse(const char* why, std::string_view argument) {
  throw UsageError(why + (": '" + std::string(argument)) + "'");
}

inline std::size_t positive_number(std::string_view option, std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0) {
    throw UsageError(std::string(option) + " takes a number from 1 on, not '" + std::string(text) + "'");
  }
  return number;
}

}  // namespace detail

/// Throws UsageError. `arguments` are without the program's name.
inline Options parse_options(std::span<const char* const> arguments) {
  Options options;
  bool has_file = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const auto number = [&] {
      if (i + 1 == arguments.size()) throw UsageError(std::string(argument) + " takes a number");
      return detail::positive_number(argument, arguments[++i]);
    };
    if (argument == "--help") options.help = true;
    else if (argument == "--verbose") options.verbose = true;
    else if (argument == "--names") options.names_only = true;
    else if (argument == "--most") options.most = number();
    else if (argument == "--threads") options.threads = number();
    else if (argument.empty() || argument.starts_with('-')) detail::refuse("no such option", argument);
    else if (argument.find('/') == argument.npos) options.packages.emplace_back(argument);
    else if (std::exchange(has_file, true)) detail::refuse("a second file", argument);
    else options.file = argument;
  }
  return options;
}

}  // namespace what_if

// What the examples' command lines have in common: reading arguments, and the frame of main().
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace examples {

enum ExitStatus { done = 0, failed = 1, wrong_usage = 2 };

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void refuse(const char* why, std::string_view argument) {
  throw UsageError(why + (": '" + std::string(argument)) + "'");
}

/// Arguments, one after the other.
class Arguments {
 public:
  explicit Arguments(std::span<const char* const> arguments) noexcept : left_(arguments) {}

  bool empty() const noexcept { return left_.empty(); }

  /// There must be one left.
  std::string_view next() noexcept {
    const std::string_view first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }

  /// The number that must follow `option`. Throws UsageError.
  std::size_t number_after(std::string_view option, std::size_t least, std::size_t most) {
    const std::string_view text = empty() ? "" : next();
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size() && number >= least && number <= most) return number;
    throw UsageError(std::string(option) + " takes a number from " + std::to_string(least) + " to " +
                     std::to_string(most) + ", not '" + std::string(text) + "'");
  }

 private:
  std::span<const char* const> left_;
};

/// The frame of main(): answers --help, passes the arguments after the program's name to `run`, which gives the exit
/// status, and turns what it throws into a line on stderr and an exit status.
template <class Run>
int run_program(const char* name, const char* usage_text, int argc, char** argv, const Run& run) {
  const std::span<const char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  const auto asks_for_help = [](std::string_view argument) { return argument == "--help"; };
  if (std::any_of(arguments.begin(), arguments.end(), asks_for_help)) {
    std::fputs(usage_text, stdout);
    return done;
  }
  try {
    return run(arguments);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s: %s\nTry %s --help\n", name, error.what(), name);
    return wrong_usage;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: out of memory\n", name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  }
  return failed;
}

}  // namespace examples

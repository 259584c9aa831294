// What is wrong with a package database, and on which line of it.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace what_if {

/// A file that cannot be read as a package database. what() reads "line 12: a stanza without Package".
class DatabaseError : public std::runtime_error {
 public:
  DatabaseError(std::size_t line, const std::string& what)
      : std::runtime_error("line " + std::to_string(line) + ": " + what), line_(line) {}

  /// Counted from 1.
  std::size_t line() const noexcept { return line_; }

 private:
  std::size_t line_;
};

}  // namespace what_if

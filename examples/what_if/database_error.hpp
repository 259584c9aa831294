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

/// Does `work` on a file's text; what is wrong in the text is told as std::runtime_error that names the file too.
template <class Work>
auto with_file_in_errors(const std::string& file, const Work& work) {
  try {
    return work();
  } catch (const DatabaseError& error) {
    throw std::runtime_error(file + ", " + error.what());
  }
}

}  // namespace what_if

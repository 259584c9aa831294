// Cuts the text of a package database into stanzas and keeps the fields that decide what can stay installed.
// Knows the form of the file (deb822), not the meaning of the fields; copies nothing: all values point into the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "database_error.hpp"

namespace what_if {

/// The value of one field, without the blanks around it. A folded field keeps its line breaks.
struct Field {
  std::string_view value;
  std::size_t line = 0;  ///< of its name, counted from 1; 0: the stanza does not have this field

  explicit operator bool() const noexcept { return line != 0; }
};

/// One package, as the file tells of it.
struct Stanza {
  std::size_t line = 0;  ///< its first
  Field package, status, version, architecture, multi_arch, installed_size, provides, pre_depends, depends;
};

namespace detail {

/// Field names are the same in any case (deb822(5)).
inline bool same_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

constexpr std::string_view blanks = " \t\r\n";

inline std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(blanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Where a stanza keeps the field of this name; nullptr for the many that do not matter here.
inline Field* field_named(Stanza& stanza, std::string_view name) noexcept {
  struct Known {
    std::string_view name;
    Field Stanza::* field;
  };
  static constexpr Known known[] = {
      {"Package", &Stanza::package},           {"Status", &Stanza::status},
      {"Version", &Stanza::version},           {"Architecture", &Stanza::architecture},
      {"Multi-Arch", &Stanza::multi_arch},     {"Installed-Size", &Stanza::installed_size},
      {"Provides", &Stanza::provides},         {"Pre-Depends", &Stanza::pre_depends},
      {"Depends", &Stanza::depends},
  };
  for (const Known& candidate : known) {
    if (same_name(candidate.name, name)) return &(stanza.*candidate.field);
  }
  return nullptr;
}

/// How a stanza is called in a message.
inline std::string described(const Stanza& stanza) {
  const std::string where = "the stanza that starts on line " + std::to_string(stanza.line);
  return stanza.package ? where + " (" + std::string(stanza.package.value) + ")" : where;
}

}  // namespace detail

/// Reads stanza after stanza from the text of a file, which must outlive what is read.
class StanzaReader {
 public:
  explicit StanzaReader(std::string_view text) noexcept : rest_(text) {}

  /// The next stanza, or nothing at the end. Throws DatabaseError for text of another form, for a stanza without
  /// a package name, and for a file that ends within a line or a stanza.
  std::optional<Stanza> next() {
    Stanza stanza;
    while (!rest_.empty()) {
      const std::string_view line = take_line();
      if (!detail::trimmed(line).empty()) {
        read_line(stanza, line);
      } else if (stanza.line != 0) {
        if (stanza.package.value.empty()) throw DatabaseError(stanza.line, "a stanza without Package");
        return stanza;
      }
    }
    // dpkg and apt end every stanza with an empty line, the last one too: without it, the end is missing.
    if (stanza.line != 0) {
      throw DatabaseError(line_, "the file ends within " + detail::described(stanza) +
                                     ": no empty line follows it. Is the file truncated?");
    }
    return std::nullopt;
  }

 private:
  std::string_view take_line() {
    ++line_;
    const auto end = rest_.find('\n');
    if (end == rest_.npos) throw DatabaseError(line_, "the file ends within this line. Is it truncated?");
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }

  void read_line(Stanza& stanza, std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t') return continue_field(stanza, line);
    const auto colon = line.find(':');
    if (colon == line.npos || colon == 0 || line.substr(0, colon).find_first_of(detail::blanks) != line.npos) {
      throw DatabaseError(line_, "expected 'Field: value', found " + quoted(line));
    }
    if (stanza.line == 0) stanza.line = line_;
    field_ = detail::field_named(stanza, line.substr(0, colon));
    if (field_ == nullptr) return;
    if (*field_) throw DatabaseError(line_, "a second " + std::string(line.substr(0, colon)) + " in one stanza");
    *field_ = {detail::trimmed(line.substr(colon + 1)), line_};
  }

  void continue_field(const Stanza& stanza, std::string_view line) {
    if (stanza.line == 0) throw DatabaseError(line_, "a continuation line with no field before it");
    if (field_ == nullptr) return;
    const std::string_view more = detail::trimmed(line);
    // The lines lie one after the other in the text, so the value simply reaches further.
    const char* begin = field_->value.empty() ? more.data() : field_->value.data();
    field_->value = {begin, static_cast<std::size_t>(more.data() + more.size() - begin)};
  }

  /// The start of a line, fit for a terminal.
  static std::string quoted(std::string_view line) {
    constexpr std::size_t most = 40;
    std::string shown(line.substr(0, most));
    for (char& c : shown) {
      if (c < ' ' || c > '~') c = '?';
    }
    return "'" + shown + (line.size() > most ? "...'" : "'");
  }

  std::string_view rest_;
  std::size_t line_ = 0;
  Field* field_ = nullptr;  ///< of the stanza being read, which the last line belongs to
};

/// All stanzas of a file. Throws as StanzaReader::next(), and when there is none.
inline std::vector<Stanza> read_stanzas(std::string_view text) {
  StanzaReader reader(text);
  std::vector<Stanza> stanzas;
  while (std::optional<Stanza> stanza = reader.next()) stanzas.push_back(*stanza);
  if (stanzas.empty()) throw DatabaseError(1, "no package in the file");
  return stanzas;
}

}  // namespace what_if

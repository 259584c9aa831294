// Reads the dependency fields of a stanza: "a (>= 1.2), b | c:any, d". What a relation says, not whether it holds.
#pragma once

#include <string>
#include <string_view>

#include "database_error.hpp"
#include "debian_version.hpp"
#include "stanza_reader.hpp"

namespace what_if {

enum class Comparison { any, earlier, earlier_or_equal, equal, later_or_equal, later };

/// "name:architecture (>= version)": one package that would do. Points into the text it was read from.
struct Relation {
  std::string_view name;
  std::string_view architecture;  ///< what stands after the colon: "any", "amd64"; mostly empty
  Comparison comparison = Comparison::any;
  std::string_view version;       ///< empty when comparison is any
};

/// Whether `version` is one that the relation allows.
constexpr bool allows(const Relation& relation, std::string_view version) noexcept {
  if (relation.comparison == Comparison::any) return true;
  const std::weak_ordering order = compare_versions(version, relation.version);
  switch (relation.comparison) {
    case Comparison::earlier: return order < 0;
    case Comparison::earlier_or_equal: return order <= 0;
    case Comparison::equal: return order == 0;
    case Comparison::later_or_equal: return order >= 0;
    case Comparison::later: return order > 0;
    case Comparison::any: break;
  }
  return true;
}

namespace detail {

/// Calls `use` with each part of `text` between separators, without the blanks around it.
template <class Use>
void for_each_part(std::string_view text, char separator, Use use) {
  for (;;) {
    const auto end = text.find(separator);
    use(trimmed(text.substr(0, end)));
    if (end == text.npos) return;
    text.remove_prefix(end + 1);
  }
}

/// One relation, read from left to right.
class RelationReader {
 public:
  RelationReader(std::string_view text, std::size_t line) noexcept : whole_(text), rest_(text), line_(line) {}

  Relation read() {
    Relation relation;
    relation.name = take_word("a package name");
    if (take(':')) relation.architecture = take_word("an architecture");
    if (skip_blanks(); take('(')) {
      relation.comparison = take_comparison();
      relation.version = take_version();
    }
    if (skip_blanks(); !rest_.empty()) fail("something after it");
    return relation;
  }

 private:
  static constexpr bool is_word_part(char c) noexcept {
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  }

  std::string_view take_word(const char* expected) {
    std::size_t size = 0;
    while (size < rest_.size() && is_word_part(rest_[size])) ++size;
    if (size == 0 || !(is_letter(rest_[0]) || is_digit(rest_[0]))) fail(std::string("expected ") + expected);
    const std::string_view word = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return word;
  }

  Comparison take_comparison() {
    skip_blanks();
    if (take('=')) return Comparison::equal;
    if (take('<')) {
      if (take('<')) return Comparison::earlier;
      take('=');  // A lone < is an old way to write <=, and > to write >= (Debian policy, 7.1).
      return Comparison::earlier_or_equal;
    }
    if (take('>')) {
      if (take('>')) return Comparison::later;
      take('=');
      return Comparison::later_or_equal;
    }
    fail("expected one of << <= = >= >>");
  }

  std::string_view take_version() {
    const auto close = rest_.find(')');
    if (close == rest_.npos) fail("expected ) after the version");
    const std::string_view version = trimmed(rest_.substr(0, close));
    if (version.empty() || version.find_first_of(" \t\n(") != version.npos) fail("expected a version");
    rest_.remove_prefix(close + 1);
    return version;
  }

  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void skip_blanks() noexcept { rest_.remove_prefix(std::min(rest_.find_first_not_of(blanks), rest_.size())); }

  [[noreturn]] void fail(const std::string& why) const {
    throw DatabaseError(line_, "cannot read the relation '" + std::string(whole_) + "': " + why);
  }

  std::string_view whole_;
  std::string_view rest_;
  std::size_t line_;
};

}  // namespace detail

/// Calls `use(text)` with the text of each comma-separated part of a field: the dependencies that must all be met.
template <class Use>
void for_each_dependency(const Field& field, Use use) {
  if (!field.value.empty()) detail::for_each_part(field.value, ',', use);
}

/// Calls `use(relation)` with each alternative of a dependency "a | b", of which one must be met.
/// Throws DatabaseError that names `line` for what is not a relation.
template <class Use>
void for_each_alternative(std::string_view dependency, std::size_t line, Use use) {
  detail::for_each_part(dependency, '|',
                        [&](std::string_view text) { use(detail::RelationReader(text, line).read()); });
}

}  // namespace what_if

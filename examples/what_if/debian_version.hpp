// Debian's order of version numbers, [epoch:]upstream[-revision], as deb-version(7) defines it.
// Knows nothing of packages.
#pragma once

#include <algorithm>
#include <compare>
#include <string_view>

namespace what_if {

namespace detail {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Where the first character of a non-digit stretch sorts: `~` before the end of the stretch, the end before
/// letters, letters before everything else.
constexpr int front_rank(std::string_view text) noexcept {
  if (text.empty() || is_digit(text.front())) return 0;
  const char c = text.front();
  if (c == '~') return -1;
  return static_cast<unsigned char>(c) + (is_letter(c) ? 0 : 256);
}

/// Takes the leading digits off `text`, and gives them without leading zeros: those compare by length, then
/// by character, as the numbers they are, however long.
constexpr std::string_view take_number(std::string_view& text) noexcept {
  const auto digits_end = std::find_if_not(text.begin(), text.end(), is_digit);
  std::string_view digits = text.substr(0, static_cast<std::size_t>(digits_end - text.begin()));
  text.remove_prefix(digits.size());
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

/// Compares two upstream versions, or two revisions: stretches of non-digits and of digits in turn.
constexpr std::weak_ordering compare_part(std::string_view a, std::string_view b) noexcept {
  while (!a.empty() || !b.empty()) {
    // A rank other than 0 on both sides means that both have a character left to take off.
    while (front_rank(a) != 0 || front_rank(b) != 0) {
      if (front_rank(a) != front_rank(b)) return front_rank(a) <=> front_rank(b);
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
    const std::string_view x = take_number(a);
    const std::string_view y = take_number(b);
    if (x.size() != y.size()) return x.size() <=> y.size();
    if (x != y) return x <=> y;
  }
  return std::weak_ordering::equivalent;
}

struct VersionParts {
  std::string_view epoch;     ///< empty counts as 0
  std::string_view upstream;
  std::string_view revision;  ///< empty counts as 0
};

constexpr VersionParts split_version(std::string_view version) noexcept {
  VersionParts parts;
  if (const auto colon = version.find(':'); colon != version.npos) {
    parts.epoch = version.substr(0, colon);
    version.remove_prefix(colon + 1);
  }
  const auto dash = version.rfind('-');
  parts.upstream = version.substr(0, dash);
  if (dash != version.npos) parts.revision = version.substr(dash + 1);
  return parts;
}

}  // namespace detail

/// Which of two versions is the newer one. Weak: 1.0 and 1.00-0 differ as text and are the same version.
constexpr std::weak_ordering compare_versions(std::string_view a, std::string_view b) noexcept {
  if (a == b) return std::weak_ordering::equivalent;
  const detail::VersionParts x = detail::split_version(a);
  const detail::VersionParts y = detail::split_version(b);
  if (const auto order = detail::compare_part(x.epoch, y.epoch); order != 0) return order;
  if (const auto order = detail::compare_part(x.upstream, y.upstream); order != 0) return order;
  return detail::compare_part(x.revision, y.revision);
}

}  // namespace what_if

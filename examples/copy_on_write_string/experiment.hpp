// The experiment: copy a string, write a letter to each of the two. The same code for any kind of string.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../support/measure.hpp"
#include "memory.hpp"

namespace copy_on_write_string {

using examples::microseconds_of;

/// What the experiment did and what it cost. Times in microseconds.
struct Outcome {
  std::array<const char*, 2> addresses{};  ///< of str1 and str2
  double seal_us = 0;                      ///< what the first copy after filling costs once, whatever is copied
  double copy_us = 0;
  std::uint64_t copy_bytes = 0;            ///< of memory, that the copy took
  std::array<double, 2> write_us{};
  std::uint64_t write_bytes = 0;           ///< of memory, that the two writes took
  bool contents_are_right = false;
};

namespace detail {

/// `text` over and over, with one letter changed.
inline bool repeats_but_for(std::string_view string, std::string_view text, std::size_t at, char letter) {
  if (string[at] != letter) return false;
  for (std::size_t i = 0; i < string.size(); i += text.size()) {
    const std::string_view piece = string.substr(i, text.size());
    if (at < i || at >= i + piece.size()) {
      if (piece != text.substr(0, piece.size())) return false;
    } else {
      const std::size_t split = at - i;
      if (piece.substr(0, split) != text.substr(0, split)) return false;
      if (piece.substr(split + 1) != text.substr(0, piece.size()).substr(split + 1)) return false;
    }
  }
  return true;
}

}  // namespace detail

/// Fills `string` up to `size` with `text` over and over.
template <class String>
void fill(String& string, std::size_t size, std::string_view text) {
  while (string.size() < size) string.append(text.substr(0, size - string.size()));
}

inline void seal(SharedString& string) { string.seal(); }
inline void seal(std::string&) {}

/// `str1` repeats `text` and has two letters at least; `str2` is empty. Both are left as the experiment made them.
template <class String>
Outcome copy_and_write(String& str1, String& str2, std::string_view text) {
  Outcome outcome;
  const auto memory = [&] { return anonymous_bytes() + file_bytes(str1); };
  const auto grown_since = [&](std::uint64_t before) { return std::max(memory(), before) - before; };

  outcome.seal_us = microseconds_of([&] { seal(str1); });
  const std::uint64_t at_first = memory();
  outcome.copy_us = microseconds_of([&] { str2 = str1; });
  outcome.copy_bytes = grown_since(at_first);

  const std::uint64_t copied = memory();
  outcome.write_us[0] = microseconds_of([&] { str1[1] = 'q'; });
  outcome.write_us[1] = microseconds_of([&] { str2[1] = 'w'; });
  outcome.write_bytes = grown_since(copied);

  outcome.addresses = {str1.data(), str2.data()};
  outcome.contents_are_right = detail::repeats_but_for({str1.data(), str1.size()}, text, 1, 'q') &&
                               detail::repeats_but_for({str2.data(), str2.size()}, text, 1, 'w');
  return outcome;
}

}  // namespace copy_on_write_string

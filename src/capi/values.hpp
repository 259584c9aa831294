// Structures that begin with their size, and memory that the caller frees.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

#include "capi/errors.hpp"
#include "cow/cow.h"

namespace cow::capi {

/// No structure will ever be longer: what says so was never given its size.
constexpr std::size_t longest_structure = 1024;

/// What ends inside a member is no size that the structure ever had: it grows by whole members, padding included.
template <class Structure>
void require_whole(std::size_t size) {
  require(size % alignof(Structure) == 0,
          "the structure begins with a size that ends inside a member: set it to its sizeof, or by its ..._init()");
}

/// The caller's structure as this library knows it. `first_size`: what it had when it was first published. What is
/// beyond the caller's stays as in `defaults`; what is beyond ours must be zero.
template <class Options>
Options read_options(const Options* given, const Options& defaults, std::size_t first_size = sizeof(Options)) {
  static_assert(std::is_trivially_copyable_v<Options>);
  if (given == nullptr) return defaults;
  require(given->size >= first_size, "the options begin with a size that is too small: call their ..._init() first");
  require(given->size <= longest_structure, "the options begin with what is no size: call their ..._init() first");
  require_whole<Options>(given->size);
  const std::size_t known = std::min(given->size, sizeof(Options));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  if (std::any_of(bytes + known, bytes + given->size, [](unsigned char byte) { return byte != 0; })) {
    throw Refused("the options hold what this library does not know; it is older than the program's header", E2BIG);
  }
  Options options = defaults;
  std::memcpy(&options, given, known);
  options.size = sizeof(Options);
  return options;
}

/// The defaults, as far as the caller's structure goes; what this library does not know becomes zero.
template <class Options>
void init_options(Options* options, std::size_t size, Options defaults) noexcept {
  size = std::min(size, longest_structure);
  defaults.size = size;
  std::memset(static_cast<void*>(options), 0, size);
  std::memcpy(static_cast<void*>(options), &defaults, std::min(size, sizeof defaults));
}

/// Fills the caller's structure as far as it goes; its size stays, and what this library does not know becomes zero.
template <class Result>
void check_result(const Result* result, std::size_t first_size = sizeof(Result)) {
  require(result != nullptr, "the place for the result is NULL");
  require(result->size >= first_size, "the result begins with a size that is too small: set it to its sizeof first");
  require(result->size <= longest_structure, "the result begins with what is no size: set it to its sizeof first");
  require_whole<Result>(result->size);
}
template <class Result>
void write_result(Result* result, Result value) noexcept {
  const std::size_t size = result->size;
  value.size = size;
  std::memset(static_cast<void*>(result), 0, size);
  std::memcpy(static_cast<void*>(result), &value, std::min(size, sizeof value));
}

/// By malloc, since cow_free() is for all of them.
inline char* copy_for_caller(std::string_view text) {
  auto* const copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  text.copy(copy, text.size());
  copy[text.size()] = '\0';
  return copy;
}

/// A list for the caller; null if it is empty.
template <class Element>
Element* list_for_caller(std::size_t count) {
  if (count == 0) return nullptr;
  auto* const list = static_cast<Element*>(std::calloc(count, sizeof(Element)));
  if (list == nullptr) throw std::bad_alloc();
  return list;
}

/// *ranges = a list of f()'s, or NULL.
template <class F>
int listing(const char* call, cow_page_range** ranges, std::size_t* count, F&& f) noexcept {
  if (ranges == nullptr || count == nullptr) return fail(call, EINVAL, "the place for the list is NULL");
  *ranges = nullptr;
  *count = 0;
  return guarded(call, [&] {
    const auto found = f();
    *ranges = list_for_caller<cow_page_range>(found.size());
    *count = found.size();
    for (std::size_t i = 0; i < found.size(); ++i) (*ranges)[i] = {found[i].first, found[i].count};
  });
}

/// *text = a copy of f(), or NULL.
template <class F>
int telling(const char* call, char** text, F&& f) noexcept {
  if (text == nullptr) return fail(call, EINVAL, "the place for the text is NULL");
  *text = nullptr;
  return guarded(call, [&] { *text = copy_for_caller(f()); });
}

}  // namespace cow::capi

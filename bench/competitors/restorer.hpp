// The concept that a competitor of the rollback loop meets. Measures nothing.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

#include "competitors/competitor.hpp"

namespace bench {

/// A heap whose content is saved once and put back again and again, at the same addresses.
template <class R>
concept Restorer = std::constructible_from<R, std::size_t> && requires(R r, std::span<const Page> pages) {
  { R::label } -> std::convertible_to<std::string_view>;
  { r.data() } -> std::same_as<std::byte*>;
  /// The content as it is now is what restore() puts back.
  r.save();
  /// Puts the saved content back. `pages` were written since: told for free to those who cannot find out.
  r.restore(pages);
};

}  // namespace bench

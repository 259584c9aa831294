// The concept that a competitor of the cycle meets, and the words it stores in pages. Measures nothing.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "cow/units.hpp"
#include "workload.hpp"

namespace bench {

/// A heap that can be snapshotted. Constructed with its size in bytes, zero or not; the cycle fills it. It may have a
/// write(pages, value) of its own; else the cycle stores.
/// Everything but settle() is timed.
template <class C>
concept Competitor = std::constructible_from<C, std::size_t> && requires(C c, Page page, std::span<const Page> pages) {
  { C::label } -> std::convertible_to<std::string_view>;
  /// Whether giving a snapshot back counts in the total. Not so for fork(): a child may be reaped by anyone.
  { C::drop_counts } -> std::convertible_to<bool>;
  /// Whether more than one snapshot can be alive.
  { C::many } -> std::convertible_to<bool>;
  { c.data() } -> std::same_as<std::byte*>;
  /// Gives the oldest snapshot back.
  c.drop();
  /// Untimed: what the competitor is granted for free between drop() and snapshot().
  c.settle();
  /// Takes a snapshot. `pages` were written since the last one: told for free to those who cannot find out.
  c.snapshot(pages);
  /// The word of `page` in the newest snapshot.
  { c.old_word(page) } -> std::same_as<std::uint64_t>;
};

/// Each page's word sits in another cache line of the page, so that no competitor is slowed by words that
/// share a cache set.
inline std::size_t word_offset(Page page) noexcept { return page * cow::page_size() + page % 61 * 64; }

inline std::uint64_t load_word(const std::byte* base, Page page) noexcept {
  return *reinterpret_cast<const volatile std::uint64_t*>(base + word_offset(page));
}

inline void store_word(std::byte* base, Page page, std::uint64_t value) noexcept {
  *reinterpret_cast<volatile std::uint64_t*>(base + word_offset(page)) = value;
}

}  // namespace bench

// All competitors by name. The one place that knows each of them; nothing else includes their headers.
#pragma once

#include <cstdint>
#include <string_view>

#include "setting.hpp"
#include "trial.hpp"

namespace bench {

/// The names that plans and figures use; the same as the competitors' labels.
namespace name {
inline constexpr std::string_view fork = "fork, 4 KiB pages";
inline constexpr std::string_view fork_huge = "fork, huge pages";
inline constexpr std::string_view eager = "eager memcpy";
inline constexpr std::string_view private_mapping = "MAP_PRIVATE on a memfd";
inline constexpr std::string_view textbook = "textbook remap";
inline constexpr std::string_view userfaultfd = "raw userfaultfd";
inline constexpr std::string_view cow = "cow, mprotect";
inline constexpr std::string_view cow_userfaultfd = "cow, userfaultfd";
inline constexpr std::string_view cow_kernel = "cow, kernel";
inline constexpr std::string_view cow_auto = "cow, automatic";
inline constexpr std::string_view known_writes = "cow, by write()";
inline constexpr std::string_view clones = "cow clones, mprotect";
inline constexpr std::string_view clones_userfaultfd = "cow clones, userfaultfd";
inline constexpr std::string_view clones_kernel = "cow clones, kernel";
inline constexpr std::string_view clones_auto = "cow clones, automatic";
inline constexpr std::string_view known_clones = "cow clones, by write()";
inline constexpr std::string_view fork_reaped = "fork, reaped";
inline constexpr std::string_view cow_quiet = "cow, quiet cuts";
inline constexpr std::string_view views_userfaultfd = "cow views, userfaultfd";
inline constexpr std::string_view views_kernel = "cow views, kernel";
inline constexpr std::string_view map_cow_userfaultfd = "cow heap, userfaultfd";
inline constexpr std::string_view map_cow_kernel = "cow heap, kernel";
inline constexpr std::string_view views = "cow views, mprotect";
inline constexpr std::string_view views_auto = "cow views, automatic";
inline constexpr std::string_view restore_copy = "memcpy of the pages";
inline constexpr std::string_view restore_private = "MAP_PRIVATE, MADV_DONTNEED";
inline constexpr std::string_view restore_fork = "fork an iteration";
inline constexpr std::string_view map_fork = "std::map, fork";
inline constexpr std::string_view map_copy = "std::map, deep copy";
inline constexpr std::string_view lmdb = "LMDB";
inline constexpr std::string_view map_cow = "cow heap, mprotect";
inline constexpr std::string_view map_cow_auto = "cow heap, automatic";
inline constexpr std::string_view map_calls = "cow heap, by calls";
}  // namespace name

/// Whether this build has it: LMDB is optional.
bool in_catalogue(std::string_view competitor, const Setting& setting);
/// Memory it needs at most, in multiples of the setting's bytes.
double memory_factor(std::string_view competitor, const Setting& setting);
/// Prepares it. Called in a worker's process.
std::unique_ptr<Trial> make_trial(std::string_view competitor, const Setting& setting, std::uint64_t seed);

}  // namespace bench

// Statistics as text for people and as JSON for programs.
#pragma once

#include <string>

#include "cow/stats.hpp"

namespace cow {

/// Some lines, each a group: faults, pages, handler time, what the arena holds, what its file holds.
COW_API std::string to_text(const ArenaStats& stats);

/// One JSON object without line breaks. Its names are those of the members; handler_time is an object with count,
/// total_ns, p50_ns, p99_ns, longest_ns and buckets: [from_ns, count] for each that is not empty.
COW_API std::string to_json(const ArenaStats& stats);

}  // namespace cow

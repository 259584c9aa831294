// What of SaveOptions can be wrong by itself.
#pragma once

#include <optional>

#include "cow/save.hpp"

namespace cow::files {

/// Throws std::invalid_argument.
void check_options(const SaveOptions& options);

/// Of compression; none: plain.
std::optional<int> level_of(const SaveOptions& options);

}  // namespace cow::files

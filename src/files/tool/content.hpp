// Commands that go through content: comparing two states, and writing one out raw.
#pragma once

#include "files/tool/arguments.hpp"

namespace cow::tool {

/// Gives the exit code.
int diff(const Arguments& arguments);
int extract(const Arguments& arguments);

}  // namespace cow::tool

// What the forms of a fault profile share: names of places, weights of stacks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cow/fault_profile.hpp"
#include "diagnostics/symbols.hpp"

namespace cow {

std::uint64_t weight_of(const FaultProfile& profile, const ProfiledStack& stack, FaultWeight weight);

/// The function, or the module and the offset into it.
std::string name_of_place(const CodePlace& place);

/// The arena's name, then the functions from the outermost on, inlined ones marked.
std::vector<std::string> names_from_outermost(const ProfiledStack& stack);

}  // namespace cow

// Layer 6: puts the handler in place, chains to what was there, and keeps a fork() child away from its parent's arenas.
// Never runs in the handler.
#pragma once

#include "cow/faults.hpp"

namespace cow {

/// What an arena needs of its process: handlers and fork watch. Cheap when done already. Throws like
/// install_fault_handler().
void prepare_process(bool with_sigbus);

}  // namespace cow

// Layer 6: puts the handler in place, chains to what was there, and keeps a fork() child away from its parent's arenas.
// Never runs in the handler.
#pragma once

#include "cow/faults.hpp"

namespace cow {

/// What the first arena of a process needs: handlers and fork watch. Cheap when done already. Throws like
/// install_fault_handler().
void prepare_process();

}  // namespace cow

// fork(). The child gets a copy of each arena at the same addresses, of the moment of fork(): all arenas are
// cut at once, and whoever writes after the cut waits until fork() is done, so that nothing that follows such a write,
// in whatever memory, is in the child. Where fork() in turn waits for the writer, the write goes on without the
// child. Knows nothing of what keeps a child's frames alive afterwards: see fork/children.hpp.
#pragma once

namespace cow {

/// Makes fork() safe for arenas, once; throws std::system_error. Done at load time where possible, so that handlers of
/// pthread_atfork() that the program adds run outside of ours.
void watch_forks();

}  // namespace cow

// Puts the handler in place and chains to what was there. Never runs in the handler.
#pragma once

#include "cow/faults.hpp"

namespace cow {

/// What an arena needs of its process: handlers, put back where someone took them away. Throws like
/// install_fault_handler().
void prepare_process(bool with_sigbus);

/// The same once an arena is there: one system call a signal, and no lock, where the handler is still in place.
void keep_handler_in_place(bool with_sigbus);

/// The same for who cannot be told of a failure; nothing where another thread is at it. No lock is held.
void try_to_keep_handlers() noexcept;

/// In a fork() child: another thread may have been installing, which it does not have.
void begin_installing_in_child() noexcept;

}  // namespace cow

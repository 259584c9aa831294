// Who had the signal before us, and handing faults on to them as the kernel would have. Runs in the signal
// handler, by the rules that rule/copy_on_write.hpp opens with; only remember_previous() does not.
#pragma once

#include <csignal>

namespace cow {

/// Who gets the signal when it is not ours. Called again when we are put back in place on top of somebody new. Not in
/// the handler; one thread at a time.
void remember_previous(int signo, const struct sigaction& action) noexcept;

/// Hands the signal to who was there before, with its own mask and flags; the default action happens as if we had not
/// been there. `frame` is where the handler's own stack frame begins. What is called may jump out, or throw where the
/// program is built for that (-fnon-call-exceptions): so this is not noexcept, and nothing of ours is left undone then.
void pass_on(int signo, siginfo_t* info, void* ucontext, const void* frame);

}  // namespace cow

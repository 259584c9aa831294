// A stack that nobody else knows of, for what must not touch the one that its thread is on. Knows nothing of arenas.
#pragma once

namespace cow {

/// Calls f(context) on a stack of its own, as large as a small thread's. False, without having called it, where there
/// is no memory for one. Signal handlers that come meanwhile run there too, unless they have an alternate stack.
bool call_on_other_stack(void (*f)(void* context) noexcept, void* context) noexcept;

}  // namespace cow

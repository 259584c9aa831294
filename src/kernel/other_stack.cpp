// See kernel/other_stack.hpp.
#include "kernel/other_stack.hpp"

#include <ucontext.h>

#include <cstdint>
#include <new>

#include "kernel/os.hpp"

namespace cow {
namespace {

constexpr std::size_t stack_bytes = 256 * 1024;  // what is not touched costs nothing

/// Lies at the low end of the stack itself: nothing is stored elsewhere.
struct Call {
  void (*f)(void*) noexcept;
  void* context;
  ucontext_t inside, outside;
};

// makecontext() passes integers.
void enter(unsigned high, unsigned low) noexcept {
  const std::uint64_t address = std::uint64_t{high} << 32 | low;
  Call* const call = reinterpret_cast<Call*>(static_cast<std::uintptr_t>(address));
  call->f(call->context);
}

}  // namespace

bool call_on_other_stack(void (*f)(void*) noexcept, void* context) noexcept {
  const os::Result<void*> memory = os::reserve_books(stack_bytes);
  if (!memory) return false;
  Call* const call = ::new (memory.value) Call{f, context, {}, {}};
  const bool made = ::getcontext(&call->inside) == 0;
  if (made) {
    call->inside.uc_stack.ss_sp = call + 1;
    call->inside.uc_stack.ss_size = stack_bytes - sizeof(Call);
    call->inside.uc_link = &call->outside;
    const std::uint64_t address = reinterpret_cast<std::uintptr_t>(call);
    ::makecontext(&call->inside, reinterpret_cast<void (*)()>(&enter), 2, static_cast<unsigned>(address >> 32),
                  static_cast<unsigned>(address));
    (void)::swapcontext(&call->outside, &call->inside);
  }
  os::unmap(memory.value, stack_bytes);
  return made;
}

}  // namespace cow

// Libunwind, loaded when call stacks are first wanted, so that who links the library needs none, and its C++
// unwinder, which has the names of the compiler's own, takes nobody's exceptions.
#pragma once

#if COW_WITH_LIBUNWIND

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "kernel/os.hpp"

namespace cow {

/// The functions used. Their names are macros: the members are called as libunwind's symbols are.
// clang-format off
#define COW_OF_LIBUNWIND(X)                                                                        \
  X(unw_init_local2) X(unw_get_reg) X(unw_step) X(unw_set_caching_policy) X(unw_set_cache_size)    \
  X(unw_get_accessors) X(unw_get_proc_info_by_ip) X(unw_local_addr_space)
// clang-format on

struct Libunwind {
#define COW_MEMBER(name) decltype(&::name) name = nullptr;
  COW_OF_LIBUNWIND(COW_MEMBER)
#undef COW_MEMBER
  bool complete = false;
};

/// Complete once load_libunwind() has said yes; never changes afterwards, so that the handler may use it.
extern constinit Libunwind libunwind;

/// Whether the machine has it, and it could be loaded. Not in the handler; any thread.
bool load_libunwind() noexcept;
/// The same, telling what stands in the way for the moment: no descriptor, or no memory. Asked again, it tries again.
os::Error try_to_load_libunwind() noexcept;

}  // namespace cow

#else

namespace cow {
inline bool load_libunwind() noexcept { return false; }
}  // namespace cow

#endif

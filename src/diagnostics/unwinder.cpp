// See unwinder.hpp.
#include "diagnostics/unwinder.hpp"

#if COW_WITH_LIBUNWIND

#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <mutex>

#include "kernel/process_lock.hpp"

namespace cow {

constinit Libunwind libunwind;

namespace {

template <class Symbol>
bool look_up(void* library, const char* name, Symbol*& symbol) noexcept {
  symbol = reinterpret_cast<Symbol*>(::dlsym(library, name));
  return symbol != nullptr;
}

/// The caches, so that the handler finds room for what libunwind learns of the code. One for all threads, locked with
/// signals blocked: one of each thread's own would be allocated in the handler.
void set_up_caches(const Libunwind& unwind) noexcept {
  constexpr std::size_t remembered_places = 4096;
  (void)unwind.unw_set_caching_policy(*unwind.unw_local_addr_space, UNW_CACHE_GLOBAL);
  (void)unwind.unw_set_cache_size(*unwind.unw_local_addr_space, remembered_places, 0);
}

/// An error may pass; without one it is there whole, or never. dlopen() does not say why it failed.
os::Error load() noexcept {
  void* const library = ::dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return os::no_descriptor_left();
  bool complete = true;
#define COW_TEXT_OF(symbol) #symbol
#define COW_LOOK_UP(name) complete = look_up(library, COW_TEXT_OF(name), libunwind.name) && complete;
  COW_OF_LIBUNWIND(COW_LOOK_UP)
#undef COW_LOOK_UP
#undef COW_TEXT_OF
  if (complete) set_up_caches(libunwind);
  libunwind.complete = complete;
  return {};
}

}  // namespace

// No static local: a fork() child would wait for ever for a thread that was making it.
os::Error try_to_load_libunwind() noexcept {
  static constinit ProcessLock loading;
  static constinit std::atomic<bool> settled{false};
  if (settled.load(std::memory_order_acquire)) return {};
  const std::lock_guard guard(loading);
  if (settled.load(std::memory_order_relaxed)) return {};
  const os::Error error = load();
  if (!error) settled.store(true, std::memory_order_release);
  return error;
}

bool load_libunwind() noexcept {
  return !try_to_load_libunwind() && libunwind.complete;
}

}  // namespace cow

#endif

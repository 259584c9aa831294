// Installing. See faults/install.hpp; the public functions are those of cow/faults.hpp.
#include "faults/install.hpp"

#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <new>
#include <stdexcept>
#include <system_error>

#include "books/arena_books.hpp"
#include "faults/chain.hpp"
#include "faults/handler.hpp"
#include "kernel/os.hpp"
#include "kernel/tick_clock.hpp"

namespace cow {
namespace {

std::mutex installing;
std::atomic<bool> sigbus_needed{false};

constexpr int our_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;

bool in_place(int signo) noexcept {
  struct sigaction current {};
  if (os::set_action(signo, nullptr, &current)) return false;
  return is_our_handler(current) && (current.sa_flags & our_flags) == our_flags;
}

/// Ours, as well-behaved runtimes install theirs: on the alternate stack where a thread has one (Go and the JVM need
/// it), restarting system calls, open to a fault inside the handler, which is a bug to be seen; no other signal in
/// between.
struct sigaction our_action() noexcept {
  struct sigaction action {};
  action.sa_sigaction = handle_signal;
  action.sa_flags = our_flags;
  sigfillset(&action.sa_mask);
  for (const int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) {
    sigdelset(&action.sa_mask, synchronous);
  }
  return action;
}

/// A program may unload the plugin that brought the library along; the handler must not go with it.
void stay_loaded() noexcept {
  static bool stays = false;
  if (stays) return;
  Dl_info where {};
  if (::dladdr(reinterpret_cast<const void*>(&handle_signal), &where) != 0 && where.dli_fname != nullptr) {
    // Null for the program itself, which stays anyway.
    (void)::dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
  stays = true;
}

void install_for(int signo) {
  if (in_place(signo)) return;
  stay_loaded();
  static bool made = false;  // not by the language: a fork() child would wait for a thread that was at it
  static struct sigaction ours {};
  if (!made) ours = our_action();
  std::atomic_signal_fence(std::memory_order_release);  // a child sees what this thread has stored, in its order
  made = true;
  put_back_when_called_plainly(ours);
  struct sigaction previous {};
  os::Error error = os::set_action(signo, nullptr, &previous);
  if (!error) {
    if (!is_our_handler(previous)) remember_previous(signo, previous);  // before ours can run
    error = os::set_action(signo, &ours, nullptr);
  }
  if (error) throw std::system_error(error.code, std::generic_category(), "cow: sigaction for the fault handler");
  if (struct sigaction now {}; os::set_action(signo, nullptr, &now) || !is_our_handler(now)) {
    throw std::runtime_error("cow: a sanitizer keeps SIGSEGV to itself; run with ASAN_OPTIONS=handle_segv=1 (not 2)");
  }
}

/// Those that any arena has needed so far.
void install_all() {
  install_for(SIGSEGV);
  if (sigbus_needed) install_for(SIGBUS);
}

}  // namespace

void begin_installing_in_child() noexcept { ::new (&installing) std::mutex; }

void prepare_process(bool with_sigbus) {
  const std::lock_guard guard(installing);
  if (with_sigbus) {
    install_for(SIGBUS);
    sigbus_needed = true;
  }
  install_for(SIGSEGV);
  static bool prepared = false;
  if (prepared) return;
  TickClock::calibrate();
  MappingBudget::set_limit(os::mapping_limit() / 4 * 3);
  prepared = true;
}

void keep_handler_in_place(bool with_sigbus) {
  if (in_place(SIGSEGV) && (!with_sigbus || in_place(SIGBUS))) return;
  prepare_process(with_sigbus);
}

void try_to_keep_handlers() noexcept {
  if (fault_handler_installed()) return;
  const std::unique_lock guard(installing, std::try_to_lock);
  if (!guard) return;
  try {
    install_all();
  } catch (const std::exception&) {  // what a fault meets then it would have met without fork()
  }
}

bool fault_handler_installed() noexcept { return in_place(SIGSEGV) && (!sigbus_needed || in_place(SIGBUS)); }

void install_fault_handler() {
  const std::lock_guard guard(installing);
  install_all();
}

bool try_handle(int signo, siginfo_t* info, void* ucontext) noexcept {
  const os::ErrnoKept kept;
  const os::AsyncSignalsBlocked blocked;  // the program's own handler may not have
  return resolve_fault(signo, info, ucontext) == Verdict::resolved;
}

}  // namespace cow

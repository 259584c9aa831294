// Switches the call stacks of bad accesses on and off, and is the thread that finds their names. Never runs
// in the handler.
#include <cstdint>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "cow/faults.hpp"
#include "diagnostics/backtrace_printer.hpp"
#include "diagnostics/fault_recorder.hpp"
#include "diagnostics/symbols.hpp"
#include "diagnostics/unwinder.hpp"
#include "faults/handler.hpp"
#include "kernel/os.hpp"
#include "kernel/process_lock.hpp"

namespace cow {

#if COW_WITH_LIBUNWIND

namespace {

std::string line_for(std::size_t number, const CodePlace& place) {
  std::string line = "cow:   #" + std::to_string(number) + " " +
                     (place.function.empty() ? place.module : place.function) + "+" + std::to_string(place.offset);
  if (!place.file.empty()) line += " at " + place.file + ":" + std::to_string(place.line);
  return line + "\n";
}

void print_with_names(const backtrace_printer::Stack& stack) {
  Symbols symbols;
  for (std::size_t i = 0; i < stack.count; ++i) {
    const std::uintptr_t call = i == 0 ? stack.frames[i] : stack.frames[i] - 1;  // not what follows the call
    for (const CodePlace& place : symbols.places_of(call)) {
      const std::string line = line_for(i, place);
      os::report(line.data(), line.size());
    }
  }
}

[[noreturn]] void name_for_ever(std::uint32_t last) {
  for (;;) {
    last = backtrace_printer::wait_for_question(last);
    print_with_names(backtrace_printer::asked_about());
    backtrace_printer::answer(last);
  }
}

/// A thread that no signal of the program's interrupts.
void start_namer() {
  const os::AsyncSignalsBlocked blocked;
  std::thread(name_for_ever, backtrace_printer::questions_so_far()).detach();
  backtrace_printer::has_namer();
}

}  // namespace

bool print_backtraces_of_bad_accesses(bool on) {
  if (const os::Error error = try_to_load_libunwind()) {
    throw std::system_error(error.code, std::generic_category(), "cow: loading libunwind for backtraces");
  }
  if (!load_libunwind()) return false;
  static constinit ProcessLock switching;
  static std::uint64_t started_in = 0;
  const std::lock_guard guard(switching);
  if (on) {
    if (const os::Error error = os::watch_for_forks()) {
      throw std::system_error(error.code, std::generic_category(), "cow: watching for forks");
    }
    if (started_in != os::process_generation()) start_namer();
    started_in = os::process_generation();
    fault_recorder::warm_up();
  }
  set_bad_access_observer(on ? &backtrace_printer::print : nullptr);
  return true;
}

#else

bool print_backtraces_of_bad_accesses(bool) { return false; }

#endif

}  // namespace cow

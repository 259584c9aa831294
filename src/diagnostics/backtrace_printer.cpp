// Side room: see backtrace_printer.hpp. Runs in the signal handler.
#include "diagnostics/backtrace_printer.hpp"

#include <atomic>

#include "diagnostics/unwinder.hpp"
#include "faults/report.hpp"

namespace cow::backtrace_printer {
namespace {

constexpr int patience_ms = 2000;

std::atomic<bool> printing{false};
Stack stack;    // whoever is printing has it
Namer current;  // set before the observer is

#if COW_WITH_LIBUNWIND

void walk(void* ucontext) noexcept {
  stack.count = 0;
  unw_cursor_t cursor;
  // libunwind takes the kernel's ucontext for its own on the machines that the library knows.
  if (libunwind.unw_init_local2(&cursor, static_cast<unw_context_t*>(ucontext), UNW_INIT_SIGNAL_FRAME) != 0) return;
  do {
    unw_word_t ip = 0;
    if (libunwind.unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0) return;
    stack.frames[stack.count++] = static_cast<std::uintptr_t>(ip);
  } while (stack.count < most_frames && libunwind.unw_step(&cursor) > 0);
}

#else

void walk(void*) noexcept {}

#endif

bool namer_prints() noexcept {
  if (current.generation != os::process_generation()) return false;  // a fork() child has no such thread
  return os::send_byte(current.ask) && os::byte_within(current.answer, patience_ms);
}

void print_addresses() noexcept {
  for (std::size_t i = 0; i < stack.count; ++i) {
    ReportLine line;
    line << "cow:   #" << std::uint64_t{i} << " " << reinterpret_cast<const void*>(stack.frames[i]);
    line.write();
  }
}

}  // namespace

void use(const Namer& namer) noexcept { current = namer; }
const Stack& asked_about() noexcept { return stack; }

void print(void* ucontext) noexcept {
  if (printing.exchange(true, std::memory_order_acquire)) return;
  walk(ucontext);
  const bool named = namer_prints();
  if (!named) print_addresses();
  // A namer that is late may still be reading: then this was the last one.
  if (named && os::take_byte(current.answer)) printing.store(false, std::memory_order_release);
}

}  // namespace cow::backtrace_printer

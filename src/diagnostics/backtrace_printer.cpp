// See backtrace_printer.hpp. Runs in the signal handler.
#include "diagnostics/backtrace_printer.hpp"

#include <atomic>

#include "diagnostics/unwinder.hpp"
#include "faults/report.hpp"

namespace cow::backtrace_printer {
namespace {

constexpr long patience_us = 2'000'000, at_once_us = 100'000;

std::atomic<bool> printing{false};
Stack stack;  // whoever is printing has it

// The namer and whoever asks wait for each other by these words, and not by a pipe, whose descriptors would be the
// program's to close.
std::atomic<std::uint32_t> asked{0}, answered{0};
std::atomic<std::uint64_t> naming_in{0};  // the process that has a namer

std::uint32_t* word(std::atomic<std::uint32_t>& of) noexcept { return reinterpret_cast<std::uint32_t*>(&of); }

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
  if (naming_in.load(std::memory_order_relaxed) != os::process_generation()) return false;  // a fork() child has none
  const std::uint32_t question = asked.fetch_add(1, std::memory_order_release) + 1;
  os::wake_one(word(asked));
  for (long waited_us = 0; waited_us < patience_us;) {
    const std::uint32_t now = answered.load(std::memory_order_acquire);
    if (now == question) return true;
    if (!os::wait_a_while(word(answered), now, at_once_us)) waited_us += at_once_us;
  }
  return answered.load(std::memory_order_acquire) == question;
}

void print_addresses() noexcept {
  for (std::size_t i = 0; i < stack.count; ++i) {
    ReportLine line;
    line << "cow:   #" << std::uint64_t{i} << " " << reinterpret_cast<const void*>(stack.frames[i]);
    line.write();
  }
}

}  // namespace

std::uint32_t questions_so_far() noexcept { return asked.load(std::memory_order_relaxed); }
void has_namer() noexcept { naming_in.store(os::process_generation(), std::memory_order_relaxed); }

std::uint32_t wait_for_question(std::uint32_t last) noexcept {
  for (;;) {
    const std::uint32_t now = asked.load(std::memory_order_acquire);
    if (now != last) return now;
    os::wait_on(word(asked), last);
  }
}

const Stack& asked_about() noexcept { return stack; }

void answer(std::uint32_t question) noexcept {
  answered.store(question, std::memory_order_release);
  os::wake_one(word(answered));
}

void print(void* ucontext) noexcept {
  if (printing.exchange(true, std::memory_order_acquire)) return;
  walk(ucontext);
  const bool named = namer_prints();
  if (!named) print_addresses();
  // A namer that is late may still be reading: then this was the last one.
  if (named) printing.store(false, std::memory_order_release);
}

}  // namespace cow::backtrace_printer

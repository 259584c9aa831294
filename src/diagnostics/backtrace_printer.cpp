// Side room: see backtrace_printer.hpp. Runs in the signal handler.
#include "backtrace_printer.hpp"

#include <atomic>
#include <cstdint>

#include "fault_report.hpp"

#if COW_WITH_LIBUNWIND
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#endif

namespace cow::backtrace_printer {

#if COW_WITH_LIBUNWIND

namespace {

constexpr std::uint64_t most_frames = 64;

std::atomic<bool> printing{false};

void print_frame(std::uint64_t number, unw_cursor_t& cursor, unw_word_t ip) noexcept {
  char name[192] = "";
  unw_word_t offset = 0;
  ReportLine line;
  line << "cow:   #" << number << " " << reinterpret_cast<const void*>(ip);
  const int outcome = unw_get_proc_name(&cursor, name, sizeof name, &offset);
  if (outcome == 0 || outcome == -UNW_ENOMEM) line << " " << name << "+" << reinterpret_cast<const void*>(offset);  // ENOMEM: cut
  line.write();
}

}  // namespace

void print(void* ucontext) noexcept {
  if (printing.exchange(true, std::memory_order_acquire)) return;
  unw_cursor_t cursor;
  // libunwind takes the kernel's ucontext for its own on the machines that the library knows.
  if (unw_init_local2(&cursor, static_cast<unw_context_t*>(ucontext), UNW_INIT_SIGNAL_FRAME) == 0) {
    for (std::uint64_t number = 0; number < most_frames; ++number) {
      unw_word_t ip = 0;
      if (unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0) break;
      print_frame(number, cursor, ip);
      if (unw_step(&cursor) <= 0) break;
    }
  }
  printing.store(false, std::memory_order_release);
}

#else

void print(void*) noexcept {}

#endif

}  // namespace cow::backtrace_printer

// Reports, the signal handler and the version in C.
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "capi/objects.hpp"
#include "capi/values.hpp"
#include "cow/copied_along.hpp"
#include "cow/cow.h"
#include "cow/faults.hpp"
#include "cow/memory_account.hpp"
#include "cow/page_map.hpp"
#include "cow/stats_format.hpp"

#define COW_AS_TEXT_(x) #x
#define COW_AS_TEXT(x) COW_AS_TEXT_(x)

using namespace cow::capi;

namespace {

std::uint64_t number_in(const std::string& json, const std::string& name) {
  const std::string key = '"' + name + "\":";
  const std::size_t at = json.find(key);
  const char* const digits = at == std::string::npos ? "" : json.c_str() + at + key.size();
  const bool found = *digits >= '0' && *digits <= '9';
  require(found, "the statistics have no number of this name: cow_arena_stats_json() has all");
  return std::strtoull(digits, nullptr, 10);
}

std::string report_on(const cow::Arena& arena, int report) {
  switch (report) {
    case COW_REPORT_STATS: return to_text(arena.stats());
    case COW_REPORT_DUMP: return arena.dump();
    case COW_REPORT_PAGES: return to_text(map_pages(arena));
    case COW_REPORT_PAGES_SVG: return to_svg(map_pages(arena));
    case COW_REPORT_MEMORY: return to_text(account_memory(arena));
    default: throw Refused("this library knows no such report", EINVAL);
  }
}

}  // namespace

int cow_arena_stats_json(const cow_arena* arena, char** text) noexcept {
  return telling(__func__, text, [&] { return to_json(use(arena).stats()); });
}

int cow_arena_stat(const cow_arena* arena, const char* name, std::uint64_t* value) noexcept {
  return guarded(__func__, [&] {
    const cow::Arena& of = use(arena);
    require(name != nullptr && value != nullptr, "the name, or the place for the number, is NULL");
    *value = number_in(to_json(of.stats()), name);
  });
}

int cow_arena_report(const cow_arena* arena, int report, char** text) noexcept {
  return telling(__func__, text, [&] { return report_on(use(arena), report); });
}

int cow_arena_memory(const cow_arena* arena, cow_memory_account* account) noexcept {
  return guarded(__func__, [&] {
    const cow::Arena& of = use(arena);
    check_result(account, offsetof(cow_memory_account, front_bytes));
    const cow::MemoryAccount now = cow::account_memory(of);
    write_result(account, {.size = 0,
                           .live_bytes = now.live_bytes,
                           .relatives_bytes = now.relatives_bytes,
                           .left_behind_bytes = now.left_behind_bytes,
                           .history_bytes = now.history_bytes,
                           .history_free_bytes = now.history_free_bytes,
                           .read_only_bytes = now.read_only_bytes,
                           .untouched_bytes = now.untouched_bytes,
                           .kernel_bytes = now.kernel_bytes,
                           .front_bytes = now.front_bytes});
  });
}

int cow_arena_copies_since_snapshot(const cow_arena* arena, std::uint64_t* pages, std::uint64_t* unchanged) noexcept {
  return guarded(__func__, [&] {
    const cow::CopiesSinceSnapshot copies = cow::copies_since_snapshot(use(arena));
    if (pages != nullptr) *pages = copies.pages;
    if (unchanged != nullptr) *unchanged = copies.unchanged;
  });
}

int cow_fault_handler_installed() noexcept { return cow::fault_handler_installed() ? 1 : 0; }

int cow_install_fault_handler() noexcept {
  return guarded(__func__, [] { cow::install_fault_handler(); });
}

int cow_try_handle(int signo, void* info, void* ucontext) noexcept {
  return info != nullptr && cow::try_handle(signo, static_cast<siginfo_t*>(info), ucontext) ? 1 : 0;
}

int cow_print_backtraces_of_bad_accesses(int on) noexcept {
  return guarded(__func__, [on] {
    if (!cow::print_backtraces_of_bad_accesses(on != 0)) {
      throw Refused("the library was built without libunwind", ENOSYS);
    }
  });
}

const char* cow_version() noexcept {
  return COW_AS_TEXT(COW_VERSION_MAJOR) "." COW_AS_TEXT(COW_VERSION_MINOR) "." COW_AS_TEXT(COW_VERSION_PATCH);
}
int cow_version_number() noexcept { return COW_VERSION_MAJOR * 10'000 + COW_VERSION_MINOR * 100 + COW_VERSION_PATCH; }

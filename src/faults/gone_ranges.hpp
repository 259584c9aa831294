// Where arenas and views were that are gone, the last few of them: for telling what a stray pointer points to.
// find() runs in the signal handler. Knows addresses and names, nothing of what was there.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cow {

struct GoneRange {
  std::uintptr_t begin = 0, end = 0;
  bool view = false;
  char name[32] = {};
};

namespace gone_ranges {

constexpr std::size_t remembered = 16;

/// Not in the handler; one thread at a time.
void remember(const GoneRange& range, const char (&name)[sizeof GoneRange::name]) noexcept;

/// In a fork() child: a place that another thread was writing is empty.
void begin_in_child() noexcept;

/// The range that was last at the address. Beside a remember() it may miss one. Async-signal-safe, waits for nobody.
bool find(const void* address, GoneRange& range) noexcept;

}  // namespace gone_ranges
}  // namespace cow

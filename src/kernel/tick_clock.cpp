// How long a tick is. See kernel/tick_clock.hpp.
#include "kernel/tick_clock.hpp"

#include <time.h>

namespace cow {

namespace {

#if defined(__x86_64__)
constexpr std::uint64_t calibration_ns = 50'000;  // the clock's reading is good to some 30 ns: 0.1 % of this

struct Moment {
  std::uint64_t ticks, ns;
};

/// Both clocks at once: of some readings, the one that took the shortest, which nothing interrupted.
Moment both_clocks() noexcept {
  Moment best{};
  std::uint64_t shortest = ~std::uint64_t{0};
  for (int i = 0; i < 5; ++i) {
    timespec time{};
    const std::uint64_t before = TickClock::now();
    (void)::clock_gettime(CLOCK_MONOTONIC, &time);
    const std::uint64_t after = TickClock::now();
    if (after - before >= shortest) continue;
    shortest = after - before;
    best = {before + shortest / 2,
            static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec)};
  }
  return best;
}

double ns_per_tick() noexcept {
  const Moment first = both_clocks();
  Moment last = first;
  while (last.ns - first.ns < calibration_ns) last = both_clocks();
  return last.ticks <= first.ticks
             ? 0
             : static_cast<double>(last.ns - first.ns) / static_cast<double>(last.ticks - first.ticks);
}
#elif defined(__aarch64__)
double ns_per_tick() noexcept {
  std::uint64_t frequency;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  return frequency == 0 ? 0 : 1e9 / static_cast<double>(frequency);
}
#endif

}  // namespace

void TickClock::calibrate() noexcept {
  if (scale_.load(std::memory_order_relaxed) != 0) return;
  scale_.store(static_cast<std::uint64_t>(ns_per_tick() * (1 << scale_bits)), std::memory_order_relaxed);
}

}  // namespace cow

// See kernel/fork_gate.hpp.
#include "kernel/fork_gate.hpp"

namespace cow::fork_gate {
namespace {

constexpr long look_every_us = 2000;
// A forking thread that sleeps may sleep for a lock whose holder only waits for a processor: on a busy machine that
// takes some tens of milliseconds.
constexpr unsigned looks_asleep = 25;
constexpr unsigned most_looks = 500;  // for a handler that waits without sleeping, and where /proc does not tell

std::uint32_t* word() noexcept { return reinterpret_cast<std::uint32_t*>(&state.turn); }

}  // namespace

constinit State state;

void wait() noexcept {
  const std::uint32_t turn = state.turn.load(std::memory_order_acquire);
  if ((turn & 1) == 0) return;
  const os::ErrnoKept kept;
  unsigned asleep = 0;
  for (unsigned look = 0; look < most_looks && asleep < looks_asleep;) {
    const bool woken = os::wait_a_while(word(), turn, look_every_us);
    if (state.turn.load(std::memory_order_acquire) != turn) return;
    if (woken) continue;
    ++look;
    asleep = os::sleeps_or_ended(state.holder_id.load(std::memory_order_relaxed)) ? asleep + 1 : 0;
  }
  open(turn);
}

std::uint32_t shut() noexcept {
  state.holder.store(this_thread(), std::memory_order_relaxed);
  state.holder_id.store(os::thread_id(), std::memory_order_relaxed);
  return state.turn.fetch_add(1, std::memory_order_release) + 1;
}

void open(std::uint32_t turn) noexcept {
  if ((turn & 1) == 0) return;  // it was never shut
  if (state.turn.compare_exchange_strong(turn, turn + 1, std::memory_order_release, std::memory_order_relaxed)) {
    os::wake_all(word());
  }
}

void open_in_child() noexcept {
  const std::uint32_t turn = state.turn.load(std::memory_order_relaxed);
  state.turn.store(turn + (turn & 1), std::memory_order_relaxed);
}

}  // namespace cow::fork_gate

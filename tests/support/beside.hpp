// Another thread's turn in the middle of an operation: before its nth kernel call. Where the operation holds what the
// other one needs there, it waits a while and goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "kernel/os.hpp"

namespace cow::test {

inline std::atomic<bool> its_turn{false}, had_its_turn{false};

inline void give_turn() {
  its_turn = true;
  const auto enough = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
  while (!had_its_turn && std::chrono::steady_clock::now() < enough) std::this_thread::yield();
}

/// Runs `operation` with `other` before its nth kernel call; whether it makes so many.
inline bool run_beside(std::int64_t nth, const std::function<void()>& operation, const std::function<void()>& other) {
  its_turn = had_its_turn = false;
  std::atomic<bool> over{false};
  const std::jthread thread([&] {
    while (!its_turn && !over) std::this_thread::yield();
    if (its_turn) other();
    had_its_turn = true;
  });
  os::before_call(nth, give_turn);
  operation();
  os::before_call(0, nullptr);
  over = true;
  return its_turn;
}

}  // namespace cow::test

// Keeps updates out for the microseconds of a snapshot, so that it falls between two of them and not into the middle of
// one. Header only; independent of any arena.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "cow/export.hpp"

namespace cow {

namespace detail {
struct GateCalls;
}

/// A snapshot beside writers is one moment of memory, but memory cannot know which stores belong together: one that
/// falls into the middle of an update shows half of it. Threads that update hold an `Updating`, and look between two
/// updates whether someone wants quiet; whoever takes a snapshot holds a `Quiet` meanwhile, and no longer: reading the
/// snapshot needs none.
///
///     cow::UpdateGate gate;                                    // beside the arena, not in it
///     // each thread that updates:                             // whoever takes snapshots:
///     cow::UpdateGate::Updating updating(gate);                cow::Snapshot snapshot = [&] {
///     for (;;) {                                                 const cow::UpdateGate::Quiet quiet(gate);
///       update();                                                return arena.snapshot();
///       updating.between_updates();                            }();
///     }
///
/// Nobody starves: a Quiet waits for the updates under way and for the Quiets before it; an update waits for one Quiet
/// at most, however many are asked for. (A std::shared_mutex gives no such promise: with glibc's, updates without pause
/// keep a snapshot out for seconds.) The lock is the phase-fair ticket lock of Brandenburg and Anderson, "Spin-based
/// reader-writer synchronization for multiprocessor real-time systems" (2010), whose readers are our updates; waiting
/// threads try for some 50 us, which is longer than most snapshots take, the later part of them giving way to others,
/// since whom they wait for may need their processor, and sleep then.
///
/// Cost: between_updates() a load of a word that hardly ever changes; an Updating or a Quiet two atomic additions each.
/// All of it may be used by any number of threads. A thread that holds one of either kind must not wait for another of
/// the same gate: it would wait for itself. The gate lies outside the arena, since a snapshot would show it as it
/// stood, with threads in it that a clone does not have; a fork() child, which has one thread only, needs a new one.
/// At most 16 million Updatings at once; who destroys the gate has seen all of them end.
class UpdateGate {
 public:
  UpdateGate() noexcept = default;
  UpdateGate(const UpdateGate&) = delete;
  UpdateGate& operator=(const UpdateGate&) = delete;

  /// Held by a thread while it updates, for one update or for many.
  class [[nodiscard]] Updating {
   public:
    /// Waits while a Quiet exists.
    explicit Updating(UpdateGate& gate) noexcept : gate_(gate) { gate_.enter(); }
    ~Updating() { gate_.leave(); }
    Updating(const Updating&) = delete;
    Updating& operator=(const Updating&) = delete;

    /// To be called between two updates: lets whoever wants quiet have it, and waits until it is over.
    void between_updates() noexcept {
      if (gate_.nobody_wants_quiet()) return;
      gate_.leave();
      gate_.enter();
    }

   private:
    UpdateGate& gate_;
  };

  /// While this exists no update is under way, and all that earlier ones wrote is visible to the thread that made it.
  class [[nodiscard]] Quiet {
   public:
    /// Waits for the updates under way and for the Quiets asked for before.
    explicit Quiet(UpdateGate& gate) noexcept : gate_(gate) { gate_.close(); }
    ~Quiet() { gate_.open(); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

   private:
    UpdateGate& gate_;
  };

 private:
  friend struct detail::GateCalls;  // begins and ends by calls, for C

  // Of entered_, the low bits tell of the Quiet that is wanted: that there is one, and whether its number is odd, so
  // that who waits for its end is not held by the next. The rest counts updates, as left_ does.
  static constexpr std::uint32_t wanted = 2, odd = 1, quiet_bits = wanted | odd, one_update = 256;

  bool nobody_wants_quiet() const noexcept { return (entered_.load(std::memory_order_relaxed) & quiet_bits) == 0; }

  void enter() noexcept {
    const std::uint32_t quiet = entered_.fetch_add(one_update, std::memory_order_acq_rel) & quiet_bits;
    if (quiet == 0) return;
    wait_until(entered_, [quiet](std::uint32_t now) { return (now & quiet_bits) != quiet; });
  }

  void leave() noexcept {
    left_.fetch_add(one_update, std::memory_order_seq_cst);
    if ((entered_.load(std::memory_order_seq_cst) & quiet_bits) != 0) left_.notify_all();
  }

  void close() noexcept {
    const std::uint32_t number = quiets_asked_for_.fetch_add(1, std::memory_order_relaxed);
    wait_until(quiets_over_, [number](std::uint32_t over) { return over == number; });
    const std::uint32_t before = entered_.fetch_add(wanted | (number & odd), std::memory_order_seq_cst);
    wait_until(left_, [before](std::uint32_t left) { return left == before; });
  }

  void open() noexcept {
    entered_.fetch_and(~quiet_bits, std::memory_order_release);
    entered_.notify_all();
    quiets_over_.fetch_add(1, std::memory_order_release);
    quiets_over_.notify_all();
  }

  /// First awake, since a snapshot takes less time than putting a thread to sleep and waking it.
  template <class Condition>
  static void wait_until(const std::atomic<std::uint32_t>& word, Condition condition) noexcept {
    const auto began = std::chrono::steady_clock::now();
    for (;;) {
      const std::uint32_t now = word.load(std::memory_order_seq_cst);
      if (condition(now)) return;
      const auto waited = std::chrono::steady_clock::now() - began;
      if (waited >= std::chrono::microseconds(50)) word.wait(now, std::memory_order_acquire);
      else if (waited >= std::chrono::microseconds(5)) std::this_thread::yield();
    }
  }

  // Updates without pause write the first two words alone.
  alignas(64) std::atomic<std::uint32_t> entered_{0};
  std::atomic<std::uint32_t> left_{0};
  alignas(64) std::atomic<std::uint32_t> quiets_asked_for_{0};
  std::atomic<std::uint32_t> quiets_over_{0};
};

}  // namespace cow

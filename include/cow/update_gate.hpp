// Keeps updates out for the microseconds of a snapshot, so that it falls between two of them and not into the middle of
// one. Header only; independent of any arena.
#pragma once

#include <pthread.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "cow/export.hpp"

namespace cow {

namespace detail {
struct GateCalls;
struct GateInside;

/// Which threads are inside a gate, and by what. Whoever is put in may be taken out by another thread.
class ThreadsInside {
 public:
  using Thread = std::uintptr_t;

  static Thread this_thread() noexcept { return std::bit_cast<Thread>(pthread_self()); }

  /// `by` is not null. Where there is no place left that one is not known.
  void put(const void* by) noexcept {
    for (std::size_t i = 0, at = begin(); i < places; ++i) {
      Place& place = places_[(at + i) % places];
      const void* nobody = nullptr;
      if (place.by.load(std::memory_order_relaxed) != nullptr) continue;
      if (!place.by.compare_exchange_strong(nobody, by, std::memory_order_acquire)) continue;
      return place.thread.store(this_thread(), std::memory_order_relaxed);
    }
  }

  void take_out(const void* by) noexcept {
    for (std::size_t i = 0, at = begin(); i < places; ++i) {
      Place& place = places_[(at + i) % places];
      if (place.by.load(std::memory_order_relaxed) == by) return make_free(place);
    }
  }

  /// For who cannot tell what it was put in by: one of this thread's, or of any if there is none.
  void take_one_out() noexcept {
    for (const Thread thread : {this_thread(), Thread{0}}) {
      for (Place& place : places_) {
        const Thread inside = place.thread.load(std::memory_order_relaxed);
        if (inside != 0 && (thread == 0 || inside == thread)) return make_free(place);
      }
    }
  }

  bool has_this_thread() const noexcept {
    const Thread self = this_thread();
    for (const Place& place : places_) {
      if (place.thread.load(std::memory_order_relaxed) == self) return true;
    }
    return false;
  }

 private:
  struct Place {
    std::atomic<const void*> by{nullptr};
    std::atomic<Thread> thread{0};
  };

  static void make_free(Place& place) noexcept {
    place.thread.store(0, std::memory_order_relaxed);
    place.by.store(nullptr, std::memory_order_release);
  }

  /// Threads begin at cache lines of their own.
  static std::size_t begin() noexcept { return (this_thread() >> 12) * 4 % places; }

  static constexpr std::size_t places = 128;
  alignas(64) Place places_[places];
};

}  // namespace detail

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
/// Cost: between_updates() a load of a word that hardly ever changes; an Updating or a Quiet two atomic additions each,
/// and a note of the thread. All of it may be used by any number of threads. A thread that holds one of either kind
/// must not wait for another of the same gate: it would wait for itself. So does what cuts an arena that was given
/// the gate: there std::logic_error is thrown, for the thread that began the Updating or the Quiet, wherever it
/// ends (beyond 128 Updatings at once the others are not known; threads of raw clone() that share pthread_self() count
/// as one). The gate lies outside the arena, since a snapshot would show it as it
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
    explicit Updating(UpdateGate& gate) noexcept : gate_(gate) {
      gate_.enter();
      gate_.updating_.put(this);
    }
    ~Updating() {
      gate_.updating_.take_out(this);
      gate_.leave();
    }
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
  friend struct detail::GateCalls;   // begins and ends by calls, for C
  friend struct detail::GateInside;  // asks whether the thread is inside

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
    quiet_.store(detail::ThreadsInside::this_thread(), std::memory_order_relaxed);
  }

  void open() noexcept {
    quiet_.store(0, std::memory_order_relaxed);
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
  std::atomic<detail::ThreadsInside::Thread> quiet_{0};  // the thread that has it
  detail::ThreadsInside updating_;
};

/// Whether the calling thread is inside an Updating of a gate, or has quiet there: it must not wait for that gate.
struct detail::GateInside {
  static bool updates(const UpdateGate& gate) noexcept { return gate.updating_.has_this_thread(); }
  static bool has_quiet(const UpdateGate& gate) noexcept {
    return gate.quiet_.load(std::memory_order_relaxed) == ThreadsInside::this_thread();
  }
};

}  // namespace cow

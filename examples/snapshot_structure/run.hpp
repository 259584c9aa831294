// One thread updates the bank without pause; another takes snapshots of it and audits a view of each.
#pragma once

#include <cow/arena.hpp>
#include <cow/update_gate.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "bank.hpp"

namespace snapshot_structure {

/// What the two threads have done so far; read by a third while they run.
struct Progress {
  std::atomic<std::uint64_t> updates = 0;
  std::atomic<std::uint64_t> views = 0;
  std::atomic<std::uint64_t> violations = 0;
};

/// What the thread that takes snapshots has measured. For its own eyes until it has ended.
struct Measured {
  std::vector<double> wait_us;      ///< for the update in progress to end, for each snapshot
  std::vector<double> snapshot_us;  ///< snapshot() itself: how long the updates stood still
};

/// Whether updates stand still while a snapshot is taken.
enum class GateUse { closed, left_open };

/// A snapshot beside running writers is a clean cut through memory, but it may fall in the middle of an update: after
/// the money was taken and before it was given, or within a rotation of the tree. Memory cannot know what belongs
/// together; the program does. So the snapshot is taken between two updates, behind a gate: not for as long as it is
/// read, only for the microseconds of snapshot().
class Run {
 public:
  Run(cow::Arena& arena, Bank& bank, GateUse use) : arena_(arena), bank_(bank), gate_use_(use) {}

  const Progress& progress() const noexcept { return progress_; }
  const Measured& measured() const noexcept { return measured_; }

  /// Updates until told to stop.
  void update(std::stop_token stop) {
    std::minstd_rand random(1);
    std::optional<cow::UpdateGate::Updating> updating;
    if (gate_use_ == GateUse::closed) updating.emplace(gate_);
    for (std::uint64_t updates = 1; !stop.stop_requested(); ++updates) {
      if (updating) {
        update_once(random);
        updating->between_updates();
      } else {
        // Transfers only: a tree cut in the middle of a rotation may lead a reader astray for ever.
        bank_.transfer(random);
      }
      progress_.updates.store(updates, std::memory_order_relaxed);
    }
  }

  /// Takes snapshots and audits each until told to stop. Each one is audited again when `kept` younger ones exist.
  void take_snapshots(std::stop_token stop) {
    constexpr std::size_t kept = 16;
    std::deque<Audited> audited;
    std::uint64_t last_updates = 0;
    std::uint64_t updates_seen = 0;
    while (!stop.stop_requested()) {
      // Where both threads share a processor, this one would else take the same snapshot again and again.
      if (const std::uint64_t updates = progress_.updates; std::exchange(updates_seen, updates) == updates) {
        std::this_thread::yield();
        continue;
      }
      audited.push_back(audit(take_snapshot()));
      const Audit& now = audited.back().audit;
      count_view(now.fault == Fault::none && now.updates >= last_updates);
      last_updates = now.updates;
      if (audited.size() <= kept) continue;
      // The bank has been changed all over since; the old snapshot has not.
      const Audit again = audit(audited.front().snapshot).audit;
      count_view(again.fault == audited.front().audit.fault && again.digest == audited.front().audit.digest);
      audited.pop_front();
    }
  }

 private:
  struct Audited {
    cow::Snapshot snapshot;
    Audit audit;
  };

  using Clock = std::chrono::steady_clock;

  static double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

  template <class Random>
  void update_once(Random& random) {
    switch (random() % 16) {
      case 0: return bank_.open_account(random);
      case 1: return bank_.close_account(random);
      default: return bank_.transfer(random);
    }
  }

  cow::Snapshot take_snapshot() {
    const auto asked = Clock::now();
    std::optional<cow::UpdateGate::Quiet> quiet;
    if (gate_use_ == GateUse::closed) quiet.emplace(gate_);
    const auto begun = Clock::now();
    cow::Snapshot snapshot = arena_.snapshot();
    const auto taken = Clock::now();
    quiet.reset();
    measured_.wait_us.push_back(microseconds(begun - asked));
    measured_.snapshot_us.push_back(microseconds(taken - begun));
    return snapshot;
  }

  /// Reads a snapshot while the bank goes on: no lock is held here.
  static Audited audit(cow::Snapshot snapshot) {
    const cow::View view = snapshot.view();
    return {std::move(snapshot), Bank::at(view.data()).audit()};
  }

  void count_view(bool consistent) noexcept {
    progress_.views.fetch_add(1, std::memory_order_relaxed);
    if (!consistent) progress_.violations.fetch_add(1, std::memory_order_relaxed);
  }

  cow::Arena& arena_;
  Bank& bank_;
  const GateUse gate_use_;
  cow::UpdateGate gate_;
  Progress progress_;
  Measured measured_;
};

}  // namespace snapshot_structure

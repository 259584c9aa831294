// The threads of the soak: writers, one that keeps snapshots, one that branches off clones, one that lets the kernel
// write, and one that forks. Each does its business until told to stop; what does not hold ends the program.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <vector>

#include "cow/cow.hpp"

namespace cow::soak {

struct Tally {
  std::atomic<std::uint64_t> writes{0}, snapshots{0}, views{0}, reads{0}, clones{0}, rollbacks{0}, forks{0}, calls{0};
};

/// Tells what does not hold, and ends the program with code 1.
void require(bool condition, const char* what);

/// One arena, used by all actors for some seconds; everything but the arena is gone afterwards.
class Round {
 public:
  Round(Arena& arena, Tally& tally, std::uint64_t seed) : arena_(arena), tally_(tally), seed_(seed) {}

  /// Starts all, waits, stops all.
  void run(double seconds);

 private:
  void write_pattern(std::size_t writer);
  void keep_snapshots();
  void branch();
  void let_the_kernel_write();
  void fork_now_and_then();

  Snapshot any_snapshot(std::mt19937_64& random);
  void examine(const Snapshot& snapshot, std::mt19937_64& random);
  void live_in(Arena clone, const Snapshot& base, std::mt19937_64& random, int depth);

  Arena& arena_;
  Tally& tally_;
  std::uint64_t seed_;
  std::atomic<bool> stop_{false};
  std::mutex lock_;
  std::vector<Snapshot> kept_;  // under the lock
};

}  // namespace cow::soak

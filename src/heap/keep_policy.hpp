// How much free memory is likely to be wanted again soon, and so not given back to the system. Numbers only: nothing
// here touches memory. Not in the arena: a rollback takes nothing of it back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace cow::detail {

/// All in units. What is free and writable is worth keeping as far as the heap recently used as much at once. What is
/// free and was cut by a snapshot since is not: it would cost a copy, so blocks come from elsewhere.
class KeepPolicy {
 public:
  /// Before `units` are given back. `used`: all that is not free, with them.
  void gives_back(std::size_t units, std::size_t used, bool writable, std::uint64_t cut) noexcept {
    start(cut);
    if (writable) writable_ += units;
    peak_ = std::max(peak_, used);
    volume_ += units;
    if (volume_ <= window * std::max(peak_, least)) return;
    peak_before_ = peak_;
    peak_ = used - std::min(used, units);
    volume_ = 0;
  }

  /// Writable units were taken again.
  void takes(std::size_t units, std::uint64_t cut) noexcept {
    start(cut);
    writable_ -= std::min(writable_, units);
  }

  /// Everything that was free was given back.
  void forget(std::size_t used) noexcept {
    writable_ = 0;
    peak_ = used;
    peak_before_ = 0;
    volume_ = 0;
  }

  /// `at_most`: what the program set. `begun`: units of the arena that were ever used, without what was given back.
  std::size_t units_to_keep(std::size_t used, std::size_t begun, std::size_t at_most, std::uint64_t cut) noexcept {
    start(cut);
    const std::size_t recent = std::max(peak_, peak_before_);
    const std::size_t wanted = recent + recent / slack;
    const std::size_t wanted_again = std::min(wanted - std::min(wanted, used), writable_);
    return std::min(at_most, std::max({least, begun / share, wanted_again}));
  }

 private:
  static constexpr std::size_t least = 64;  // 256 KiB
  static constexpr std::size_t share = 64;  // of the units begun
  static constexpr std::size_t slack = 2;   // half as much again: free runs are rarely of the lengths that are wanted
  static constexpr std::size_t window = 4;  // recently: while so many times the peak was freed, or up to twice that

  void start(std::uint64_t cut) noexcept {
    if (cut_ == cut) return;
    cut_ = cut;
    writable_ = 0;
  }

  std::size_t writable_ = 0;  // at most so many free units can be written without a copy
  std::size_t peak_ = 0, peak_before_ = 0;
  std::size_t volume_ = 0;
  std::uint64_t cut_ = 0;
};

}  // namespace cow::detail

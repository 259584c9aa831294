// A long computation whose state lies in an arena: heat spreads over a plate, step by step. The same number of steps
// gives the same plate, whoever made them and however often he was interrupted.
#pragma once

#include <cow/cow.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace checkpoint {

constexpr std::size_t width = 1024;  // one row is a page
constexpr std::size_t rows = 2048;
constexpr std::size_t bytes_needed = (2 * rows + 1) * width * sizeof(float);

/// All of its state, at the arena's start: nothing that the computation knows is elsewhere.
class Computation {
 public:
  explicit Computation(cow::Arena& arena) : state_(reinterpret_cast<State*>(arena.data())) {}

  std::uint64_t steps_done() const noexcept { return state_->steps; }

  /// Each step works on one band of rows, which is why a checkpoint is smaller than the plate.
  void step() noexcept {
    const std::uint64_t step = state_->steps;
    const std::size_t first = 1 + step * band % (rows - 2);
    const std::size_t end = std::min(first + band, rows - 1);
    float(*const plate)[width] = state_->plate;
    plate[first][step * 37 % width] += 100;  // a flame that wanders
    for (std::size_t row = first; row < end; ++row) {
      for (std::size_t x = 1; x + 1 < width; ++x) {
        state_->next[row][x] =
            plate[row][x] / 2 + (plate[row - 1][x] + plate[row + 1][x] + plate[row][x - 1] + plate[row][x + 1]) / 8;
      }
    }
    for (std::size_t row = first; row < end; ++row) std::memcpy(plate[row], state_->next[row], sizeof plate[row]);
    state_->steps = step + 1;
  }

  /// A number that depends on each cell.
  std::uint64_t result() const noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const auto& row : state_->plate) {
      for (const float cell : row) {
        std::uint32_t bits;
        std::memcpy(&bits, &cell, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3;
      }
    }
    return hash;
  }

 private:
  static constexpr std::size_t band = 24;

  struct State {
    std::uint64_t steps;
    std::byte rest[width * sizeof(float) - sizeof(std::uint64_t)];
    float plate[rows][width];
    float next[rows][width];
  };
  static_assert(sizeof(State) == bytes_needed);

  State* state_;
};

}  // namespace checkpoint

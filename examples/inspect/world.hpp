// A small world in an arena: land that is set up once, walkers that jump about, a log that grows. Three ways of
// writing, so that there is something to see.
#pragma once

#include <cow/arena.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>

namespace inspect {

struct Walker {
  std::uint64_t name = 0;
  std::uint32_t x = 0, y = 0;
  std::byte luggage[1008] = {};
};

struct LogLine {
  std::uint64_t day = 0;
  char text[56] = {};
};

class World {
 public:
  static constexpr std::size_t land_width = 1024, land_height = 512;  // in squares
  static constexpr std::size_t walker_count = 1024;
  static constexpr std::size_t log_lines = 16 * 1024;
  static constexpr std::size_t bytes = std::size_t{4} << 20;

  /// The world in an arena, or in a clone of one.
  explicit World(const cow::Arena& arena) : base_(arena.data()) {}

  void set_up_land() const {
    for (std::size_t i = 0; i < land().size(); ++i) land()[i] = static_cast<std::uint32_t>(i % 251);
  }
  void settle_walkers() const {
    for (std::size_t i = 0; i < walker_count; ++i) walkers()[i].name = i + 1;
  }

  void live_a_day(std::uint64_t day, std::mt19937& random) const {
    for (std::size_t i = 0; i < 40; ++i) move_a_walker(random);
    for (std::size_t i = 0; i < 900; ++i) write_log(day);
    if (day % 2 == 0) dig_a_ditch(random() % land_height);
  }

  /// The sea comes in over part of the land: far more than a day's writing.
  void flood(std::size_t first_row, std::size_t rows) const {
    for (std::size_t row = first_row; row < first_row + rows; ++row)
      std::memset(&land()[row * land_width], 0, land_width * 4);
  }

 private:
  void move_a_walker(std::mt19937& random) const {
    Walker& walker = walkers()[random() % walker_count];
    walker.x = static_cast<std::uint32_t>(random() % land_width);
    walker.y = static_cast<std::uint32_t>(random() % land_height);
  }
  void write_log(std::uint64_t day) const {
    LogLine& line = log()[1 + log()[0].day++ % (log_lines - 1)];  // the first line counts them
    line.day = day;
    std::memcpy(line.text, "a line", 7);
  }
  void dig_a_ditch(std::size_t row) const {
    for (std::uint32_t& square : land().subspan(row * land_width, land_width)) square /= 2;
  }

  std::span<std::uint32_t> land() const { return {reinterpret_cast<std::uint32_t*>(base_), land_width * land_height}; }
  std::span<Walker> walkers() const { return {reinterpret_cast<Walker*>(base_ + land().size_bytes()), walker_count}; }
  std::span<LogLine> log() const {
    return {reinterpret_cast<LogLine*>(base_ + land().size_bytes() + walkers().size_bytes()), log_lines};
  }

  std::byte* base_;
};

}  // namespace inspect

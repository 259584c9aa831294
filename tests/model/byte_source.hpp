// Where a run of the model takes its decisions from: a seed, or the input of a fuzzer. Decides nothing itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cow::model {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint8_t next() = 0;
  /// No decisions left: the run ends.
  virtual bool exhausted() const = 0;

  /// A number in [0, limit); limit is at least 1. Takes only as many bytes as the limit needs, so that a
  /// fuzzer's changes stay local.
  std::size_t below(std::size_t limit) {
    std::size_t value = next();
    for (std::size_t reach = 256; reach < limit; reach *= 256) value = value * 256 + next();
    return value % limit;
  }
  std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
  bool chance(std::size_t percent) { return below(100) < percent; }
};

/// Endless bytes from a seed (SplitMix64, one step for each byte).
class RandomBytes : public ByteSource {
 public:
  explicit RandomBytes(std::uint64_t seed) : state_(seed) {}
  std::uint8_t next() override {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<std::uint8_t>((z ^ (z >> 31)) >> 24);
  }
  bool exhausted() const override { return false; }

 private:
  std::uint64_t state_;
};

/// The bytes of a fuzzer's input, then zeros.
class GivenBytes : public ByteSource {
 public:
  explicit GivenBytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint8_t next() override {
    if (bytes_.empty()) return 0;
    const std::uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  bool exhausted() const override { return bytes_.empty(); }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace cow::model

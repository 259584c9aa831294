// zstd, where the library was built with it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace cow::files {

bool can_compress() noexcept;

/// The lowest and the highest level there is; 0 and 0 without zstd.
struct Levels {
  int lowest = 0, highest = 0;
};
Levels compression_levels() noexcept;

class Compressor {
 public:
  explicit Compressor(int level);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  /// Gives the bytes used of `into`; none where it would not become shorter than `into`. Throws std::bad_alloc.
  std::optional<std::size_t> compress(std::span<const std::byte> from, std::span<std::byte> into);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  int level_;
};

/// False where it is not exactly so many bytes, compressed. Throws std::runtime_error without zstd.
bool decompress(std::span<const std::byte> from, std::span<std::byte> into);

}  // namespace cow::files

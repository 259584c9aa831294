// See files/options.hpp.
#include "files/options.hpp"

#include <stdexcept>
#include <string>

#include "files/compression.hpp"
#include "files/format.hpp"

namespace cow::files {

void check_options(const SaveOptions& options) {
  if (options.note.size() > longest_note) {
    throw std::invalid_argument("cow: a note of " + std::to_string(options.note.size()) +
                                " bytes; a saved file has room "
                                "for " +
                                std::to_string(longest_note));
  }
  switch (options.compression) {
    case Compression::none:
      return;
    case Compression::zstd:
      break;
    default:
      throw std::invalid_argument("cow: an unknown compression");
  }
  if (!can_compress()) {
    throw std::invalid_argument(
        "cow: Compression::zstd, and this library was built without zstd (Debian: libzstd-dev)");
  }
  const Levels levels = compression_levels();
  if (options.level < levels.lowest || options.level > levels.highest) {
    throw std::invalid_argument("cow: compression level " + std::to_string(options.level) + "; zstd has those from " +
                                std::to_string(levels.lowest) + " to " + std::to_string(levels.highest));
  }
}

std::optional<int> level_of(const SaveOptions& options) {
  if (options.compression == Compression::none) return std::nullopt;
  return options.level;
}

}  // namespace cow::files

// Writes a saved file: places each page, keeps the index and the checksums, and ends it. Knows nothing of arenas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "files/compression.hpp"
#include "files/format.hpp"
#include "files/output.hpp"

namespace cow::files {

/// A run of pages that may come to be written, and where in the file they have their places.
struct Place {
  std::uint64_t first, pages, offset;
};

class Writer {
 public:
  /// Writes the head. `level`: of compression; none: plain. The head's flag for it is set here.
  Writer(Output& output, Head head, std::optional<int> level);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Gives each of these pages its place, so that they may be put in any order and lie in the order of pages. Only
  /// where the output can seek, and nothing is compressed.
  void plan(std::span<const Place> runs);

  /// Pages with content, one behind the other. `more`: pages behind them that may follow, which are worth laying so
  /// that machines with larger pages can map them too. `sums`: of the pages, if they are known.
  void put(std::uint64_t first, std::span<const std::byte> content, std::uint64_t more = 0,
           std::span<const std::uint64_t> sums = {});
  /// Where what was put last begins, if nothing is compressed.
  std::uint64_t place_of_last() const noexcept { return last_offset_; }
  /// Pages that read as zero, where the base may have content. In a layer only.
  void put_zeros(std::uint64_t first, std::uint64_t pages);

  /// Index, checksums and end.
  void finish();
  std::uint64_t pages() const noexcept { return pages_; }

 private:
  struct Piece {
    Entry entry;
    std::uint64_t first_sum;
  };

  void write_plain(std::uint64_t first, std::span<const std::byte> content, std::uint64_t more,
                   std::span<const std::uint64_t> sums);
  void write_packed();
  std::uint64_t place_of(std::uint64_t first, std::uint64_t pages, std::uint64_t more) const;
  void add(const Entry& entry, std::uint64_t first_sum);
  void sort_pieces();

  Output& output_;
  Head head_;
  std::vector<Place> plan_;
  std::vector<Piece> pieces_;
  std::vector<std::uint64_t> sums_;
  std::uint64_t next_ = 0;  // where the file goes on
  std::uint64_t last_offset_ = 0;
  std::uint64_t pages_ = 0;
  std::unique_ptr<Compressor> compressor_;
  std::vector<std::byte> waiting_, packed_;  // pages that make one compressed chunk
  std::uint64_t waiting_first_ = 0;
};

/// Places for runs of pages (whose `offset` is ignored) in a file with pages of so many bytes.
void place_all(std::vector<Place>& runs, std::uint64_t page_bytes);

}  // namespace cow::files

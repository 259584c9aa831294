// What a file and the layers on it show together: for each byte of the arena the newest file that has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "files/reader.hpp"

namespace cow::files {

/// Bytes of the arena that one entry of one file has.
struct Piece {
  std::uint64_t begin = 0, end = 0;
  std::size_t file = 0, entry = 0;
};

class Content {
 public:
  /// Each on the one before, by its id; throws std::runtime_error where one does not fit. The first may be a layer too.
  explicit Content(std::vector<Reader> files);
  static Content open(const std::filesystem::path& file, std::span<const std::filesystem::path> layers);

  const std::vector<Reader>& files() const noexcept { return files_; }
  const Head& bottom() const noexcept { return files_.front().head(); }
  /// The newest: capacity, name and all else are its.
  const Head& top() const noexcept { return files_.back().head(); }

  /// Sorted, disjoint; with the pieces of zeros that layers have.
  const std::vector<Piece>& pieces() const noexcept { return pieces_; }
  const Entry& entry(const Piece& piece) const noexcept { return files_[piece.file].entries()[piece.entry]; }
  bool is_zeros(const Piece& piece) const noexcept { return entry(piece).bytes == 0; }
  /// Whether the bytes lie in the file as they are, and where those of the piece begin.
  bool is_plain(const Piece& piece) const noexcept {
    return !is_zeros(piece) && entry(piece).bytes == entry(piece).pages * files_[piece.file].head().page_bytes;
  }
  std::uint64_t offset_in_entry(const Piece& piece) const noexcept {
    return piece.begin - entry(piece).first * files_[piece.file].head().page_bytes;
  }

  /// Content of a part of a piece, checked.
  void read(const Piece& piece, std::uint64_t begin, std::span<std::byte> into);
  /// Throws for a fault in the rest of the files: in content that newer layers hide, or between contents.
  void check_what_is_not_shown();
  /// Behind the last byte that may have content.
  std::uint64_t end() const noexcept;

 private:
  void lay_on(std::size_t file);

  std::vector<Reader> files_;
  std::vector<Piece> pieces_;
};

/// Where a loaded arena's pages come from, on a machine with pages of so many bytes.
struct LoadPlan {
  struct Mapped {
    std::uint64_t first_page, pages;
    std::size_t file;
    std::uint64_t file_page;
  };
  std::vector<Mapped> mapped;  // ascending
  std::vector<Piece> copied;   // the rest, read when the arena is made
};

/// How much may be mapped.
struct LoadLimits {
  bool lazy = true;  // else nothing
  std::uint64_t mappings = 0;
  bool islands_split = false;  // short runs in the middle of a long one are mappings of their own, and make it two
};

/// Maps what lies in the files by whole pages of this machine; in about so many mappings.
LoadPlan plan_load(const Content& content, std::uint64_t page_bytes, const LoadLimits& limits);

}  // namespace cow::files

// What stands where in a saved file: see README.md beside this. Encoding and decoding; knows nothing of arenas.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace cow::files {

using Id = std::array<std::byte, 16>;

inline constexpr std::size_t head_bytes = 4096, trailer_bytes = 128, entry_bytes = 32, sum_bytes = 8;
inline constexpr std::size_t longest_note = 3000;
inline constexpr std::uint64_t most_chunk_bytes = std::uint64_t{16} << 20;  // of content, in one compressed chunk
/// The largest page of any kernel: content is laid so that machines with any page size can map it.
inline constexpr std::uint64_t block_bytes = 65536;

inline constexpr std::uint32_t format_version = 1;
inline constexpr std::uint32_t flag_layer = 1, flag_zstd = 2, known_flags = 3;

/// What is wrong with a file, and where. The text names no file: who opened it does.
struct Damaged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Head {
  std::uint32_t flags = 0;
  std::uint64_t page_bytes = 0, capacity = 0, address = 0;
  Id id{}, base_id{}, content{};
  std::uint64_t heap_version = 0, heap_root = 0, heap_root_type = 0;
  std::string name, note;

  bool is_layer() const noexcept { return (flags & flag_layer) != 0; }
};

/// A run of pages: zeros where it has no bytes, the content itself where it has as many as the pages, else compressed.
struct Entry {
  std::uint64_t first = 0, pages = 0, offset = 0, bytes = 0;

  std::uint64_t end() const noexcept { return first + pages; }
};

struct Trailer {
  std::uint64_t file_bytes = 0, index_offset = 0, entries = 0, index_sum = 0, sums = 0, sums_sum = 0, pages = 0;
  Id id{};

  std::uint64_t sums_offset() const noexcept { return index_offset + entries * entry_bytes; }
};

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept;

/// The same of what comes in pieces.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void add(std::span<const std::byte> some) noexcept;
  std::uint64_t value() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A number for a text of bytes, the same everywhere.
Id fingerprint(std::span<const std::byte> bytes) noexcept;

std::array<std::byte, head_bytes> encode(const Head& head);
std::array<std::byte, trailer_bytes> encode(const Trailer& trailer);
std::vector<std::byte> encode(std::span<const Entry> entries);
std::vector<std::byte> encode(std::span<const std::uint64_t> sums);

/// Each checks all that can be told from the bytes alone, and throws Damaged.
Head decode_head(std::span<const std::byte, head_bytes> bytes);
Trailer decode_trailer(std::span<const std::byte, trailer_bytes> bytes, const Head& head, std::uint64_t file_bytes);

/// How many checksums an entry has: one a page, one for what is compressed, none for zeros.
inline std::uint64_t sums_of(const Entry& entry, const Head& head) noexcept {
  return entry.bytes == 0 ? 0 : entry.bytes == entry.pages * head.page_bytes ? entry.pages : 1;
}

/// The index as it is read, in pieces of whole entries. A file may claim any number of them: each is checked before the
/// next piece is read, so that what is taken into memory is there.
class EntryDecoder {
 public:
  EntryDecoder(const Head& head, const Trailer& trailer) : head_(head), trailer_(trailer) {}

  /// These and finish() throw Damaged.
  void add(std::span<const std::byte> some);
  std::vector<Entry> finish();

 private:
  const Head& head_;
  const Trailer& trailer_;
  Checksum checksum_;
  std::vector<Entry> entries_;
  std::uint64_t sums_ = 0, pages_ = 0;
};

/// The same of the sums.
class SumDecoder {
 public:
  explicit SumDecoder(const Trailer& trailer) : trailer_(trailer) {}

  void add(std::span<const std::byte> some);
  std::vector<std::uint64_t> finish();

 private:
  const Trailer& trailer_;
  Checksum checksum_;
  std::vector<std::uint64_t> sums_;
};

}  // namespace cow::files
